"""The files of a dataset and a seed come in; those to read, in the order to read them, go out."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

from lagotto.core.errors import SourceError
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.spec import DatasetSpec

SPREAD = 8
"""Files that a sample is spread over, where there are as many: rows of one file are often alike."""

_TRAIN = "train"
_Item = TypeVar("_Item")


def choose_dataset_files(
    spec: DatasetSpec, repository: Repository, ending: str
) -> list[RemoteFile]:
    """The files of an ending that are of a configuration and split; [] if there are none at all.

    Without a split, those of the split `train` where there is one.

    Raises:
        SourceError: There are such files, but none of that configuration and split.
    """
    files = [file for file in repository.files if file.path.lower().endswith(ending)]
    if not files:
        return []
    chosen = [file for file in files if _fits(file.path, spec.config, spec.split)]
    if not spec.split:
        train = [file for file in chosen if _is_of_split(file.path, _TRAIN)]
        chosen = train or chosen
    if not chosen:
        listed = ", ".join(sorted({file.path for file in files})[:8])
        raise SourceError(f"{spec} has no such configuration or split; its files are: {listed}")
    return sorted(chosen, key=lambda file: file.path)


def in_order_of(seed: int, items: Iterable[_Item], names: Sequence[str]) -> list[_Item]:
    """Items in a random order that is the same on every machine; `names` tell them apart."""
    ranked = sorted(
        zip(names, items, strict=True),
        key=lambda pair: hashlib.sha256(f"{seed}:{pair[0]}".encode()).digest(),
    )
    return [item for _, item in ranked]


def _fits(path: str, config: str, split: str) -> bool:
    folders = PurePosixPath(path).parts[:-1]
    is_config = config in ("", "default") or config in folders
    return is_config and (not split or _is_of_split(path, split))


def _is_of_split(path: str, split: str) -> bool:
    """Whether a folder of a path is the split, or its file begins with it: `train-00000-of-...`."""
    *folders, file = PurePosixPath(path).parts
    begins = any(file.startswith(f"{split}{mark}") for mark in "-._")
    return begins or split in folders
