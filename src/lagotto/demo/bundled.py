"""The world that ships with the package: the paths of its parts, and its held-out truth.

Made by scripts/demo_world from the Noto Color Emoji font; see NOTICE in the world's folder.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as parquet

from lagotto.core.errors import LagottoError
from lagotto.core.files import read_json

WORLD = Path(__file__).parent / "world"
PROBES = WORLD / "probes.parquet"
HELDOUT = WORLD / "heldout.parquet"
DEMO_ENCODER = WORLD / "encoder"
MODELS = WORLD / "models"
DEMO_TRUTH = WORLD / "truth.json"


@dataclass(frozen=True, slots=True)
class HeldoutPicture:
    """A picture that no model was trained on: its file name, its concept, its bytes."""

    name: str
    label: str
    data: bytes


def read_heldout() -> list[HeldoutPicture]:
    """The held-out pictures, in order."""
    rows = parquet.read_table(HELDOUT, columns=["path", "label", "image"]).to_pylist()
    return [HeldoutPicture(row["path"], row["label"], row["image"]) for row in rows]


def read_classes() -> dict[str, tuple[str, ...]]:
    """The classes of each model of the world, also of models that publish no labels."""
    content = read_json(WORLD / "world.json", "demo world", LagottoError)
    models = content["models"]
    if not isinstance(models, dict):
        raise LagottoError("the bundled world is damaged; install lagotto again")
    return {
        name: tuple(str(concept) for concept in facts["classes"])
        for name, facts in models.items()
        if isinstance(facts, dict) and isinstance(facts["classes"], list)
    }


def read_kinds() -> dict[str, str]:
    """How often the encoder's training data show each concept: "known", "seldom seen", ..."""
    concepts = read_json(WORLD / "world.json", "demo world", LagottoError)["concepts"]
    if not isinstance(concepts, list):
        raise LagottoError("the bundled world is damaged; install lagotto again")
    return {
        str(concept["name"]): str(concept["rarity"])
        for concept in concepts
        if isinstance(concept, dict)
    }
