"""The name of what ships with the package comes in; the path of its probes and encoder goes out."""

from importlib.resources import files
from pathlib import Path

BUNDLED = "bundled"
"""As probes: pictures, few and drawn. As an encoder: one that knows what they show, and little
else. Both are there without a network."""


def bundled_probes() -> Path:
    """The file of the bundled pictures."""
    return _world("probes.parquet")


def bundled_encoder() -> Path:
    """The folder of the bundled encoder."""
    return _world("encoder")


def _world(part: str) -> Path:
    return Path(str(files("lagotto").joinpath("demo", "world", part)))
