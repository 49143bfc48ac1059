"""A folder comes in; the model that a registry keeps there, and what it says of it, go out."""

from pathlib import Path

from lagotto.models.metadata.beside.export_tools import ToolFacts
from lagotto.models.metadata.registries.mlflow import MLMODEL, mlflow_facts, read_mlflow
from lagotto.models.metadata.registries.registered import RegisteredModel
from lagotto.models.metadata.registries.triton import TRITON_CONFIG, read_triton, triton_facts

REGISTRY_FILES = (MLMODEL, TRITON_CONFIG)
"""Names of the files by which registries describe a model."""

_DEPTH = 2
"""Folders above a model file in which its registry may describe it."""


def registered_model(folder: Path) -> RegisteredModel | None:
    """The model of a folder of MLflow, or of a Triton repository; None for any other folder."""
    return read_mlflow(folder) or read_triton(folder)


def registry_facts(folder: Path) -> tuple[ToolFacts, ...]:
    """What the files of a registry in a folder say of its model."""
    found = (mlflow_facts(folder), triton_facts(folder))
    return tuple(facts for facts in found if facts is not None)


def registry_homes(file: Path) -> tuple[Path, ...]:
    """The folders above a model file that a registry describes, the nearest first."""
    homes = file.parents[:_DEPTH]
    return tuple(home for home in homes if any((home / n).is_file() for n in REGISTRY_FILES))
