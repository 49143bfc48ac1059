"""Fixtures that any test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real models, photos and encoder; tests that need it skip where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "assets"
    folder = Path(os.environ.get("LAGOTTO_ASSETS", default))
    if not folder.is_dir():
        pytest.skip(f"no shared assets at {folder}; set LAGOTTO_ASSETS")
    return folder
