"""The models of a block come in; a table that is kept in its file as arrays goes out, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, overload

import numpy as np
from jaxtyping import Int64, UInt8

from lagotto.core.types import JsonObject, JsonValue
from lagotto.hub.store.tensorfile import Array, TensorLayout

MODEL_ARRAYS = ("models", "firsts", "made")
"""The arrays of a file that hold the models of a block."""

_HEX_DIGITS = 64
"""Of a behaviour digest, and of a checksum: each is a SHA-256."""


@dataclass(frozen=True, slots=True)
class BlockModel:
    """A model within a block: its columns are `first` to `first + logits - 1`.

    `responses_sha256` is the checksum of the responses that the columns were made from.
    `made_with` names the completion, and is empty for a model that needed none.
    """

    behaviour_digest: str
    responses_sha256: str
    first: int
    logits: int
    made_with: str = ""


class ModelTable(Sequence[BlockModel]):
    """The models of a block, in the order of its columns; one is an object when it is asked for.

    Args:
        identities: Behaviour digest and checksum of the responses of each, 32 bytes each.
        firsts: The first column of each, and after them the number of all columns.
        made: What each was made with, as a position in `made_with`.
        made_with: The different values of `BlockModel.made_with`.
    """

    def __init__(
        self,
        identities: UInt8[np.ndarray, "models 64"],
        firsts: Int64[np.ndarray, " ends"],
        made: Int64[np.ndarray, " models"],
        made_with: tuple[str, ...],
    ) -> None:
        self.identities = identities
        self.firsts = firsts
        self.made = made
        self.made_with = made_with

    @classmethod
    def of(cls, models: Sequence[BlockModel]) -> "ModelTable":
        """A table of models whose digests are SHA-256 in hex."""
        kinds = tuple(dict.fromkeys(model.made_with for model in models))
        text = "".join(model.behaviour_digest + model.responses_sha256 for model in models)
        identities = np.frombuffer(bytes.fromhex(text), np.uint8)
        ends = [model.first for model in models] + [models[-1].first + models[-1].logits]
        return cls(
            identities.reshape(len(models), _HEX_DIGITS),
            np.array(ends, np.int64),
            np.array([kinds.index(model.made_with) for model in models], np.int64),
            kinds,
        )

    @classmethod
    def join(cls, tables: Sequence["ModelTable"]) -> "ModelTable":
        """The models of several blocks, whose columns are put side by side."""
        kinds = tuple(dict.fromkeys(kind for table in tables for kind in table.made_with))
        starts = np.cumsum([0, *(int(table.firsts[-1]) for table in tables)])
        firsts = [table.firsts[:-1] + start for table, start in zip(tables, starts, strict=False)]
        made = [
            np.array([kinds.index(kind) for kind in table.made_with], np.int64)[table.made]
            for table in tables
        ]
        identities = np.concatenate([table.identities for table in tables])
        ends = np.concatenate([*firsts, starts[-1:]]).astype(np.int64)
        return cls(identities, ends, np.concatenate(made), kinds)

    def __len__(self) -> int:
        return len(self.identities)

    @overload
    def __getitem__(self, index: int) -> BlockModel: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[BlockModel, ...]: ...
    def __getitem__(self, index: int | slice) -> BlockModel | tuple[BlockModel, ...]:
        if isinstance(index, slice):
            return tuple(self[position] for position in range(*index.indices(len(self))))
        position = range(len(self))[index]
        text = self.identities[position].tobytes().hex()
        first = int(self.firsts[position])
        return BlockModel(
            text[:_HEX_DIGITS],
            text[_HEX_DIGITS:],
            first,
            int(self.firsts[position + 1]) - first,
            self.made_with[int(self.made[position])],
        )

    def part(self, first: int, last: int) -> "ModelTable":
        """Models `first` to `last - 1`, with columns that are counted from theirs."""
        ends = self.firsts[first : last + 1]
        made = self.made[first:last]
        return ModelTable(self.identities[first:last], ends - ends[0], made, self.made_with)

    def digests(self) -> list[str]:
        """The behaviour digest of each model."""
        text = self.identities[:, : _HEX_DIGITS // 2].tobytes().hex()
        return [text[start : start + _HEX_DIGITS] for start in range(0, len(text), _HEX_DIGITS)]

    def positions_made(self, made_with: str) -> list[int]:
        """Which models were made with something."""
        if made_with not in self.made_with:
            return []
        return list(np.flatnonzero(self.made == self.made_with.index(made_with)).tolist())


def model_digests(models: Sequence[BlockModel]) -> list[str]:
    """The behaviour digest of each model of a block."""
    if isinstance(models, ModelTable):
        return models.digests()
    return [model.behaviour_digest for model in models]


def model_firsts(models: Sequence[BlockModel]) -> Int64[np.ndarray, " models"]:
    """The first column of each model of a block."""
    if isinstance(models, ModelTable):
        return models.firsts[:-1]
    return np.array([model.first for model in models], np.int64)


def models_made(models: Sequence[BlockModel], made_with: str) -> Iterable[BlockModel]:
    """The models of a block that were made with something."""
    if isinstance(models, ModelTable):
        return (models[position] for position in models.positions_made(made_with))
    return (model for model in models if model.made_with == made_with)


def model_tensors(models: ModelTable) -> TensorLayout:
    """The arrays of a file that hold the models of a block."""
    return {
        "firsts": ("I64", (len(models),)),
        "made": ("I64", (len(models),)),
        "models": ("U8", models.identities.shape),
    }


def fill_models(arrays: Mapping[str, Array], models: ModelTable) -> None:
    """Writes these arrays."""
    arrays["models"][...] = models.identities
    arrays["firsts"][...] = models.firsts[:-1]
    arrays["made"][...] = models.made


def read_models(header: JsonObject, arrays: dict[str, Array]) -> ModelTable:
    """The models of a file, whose arrays are taken out of `arrays`, or out of the header.

    Raises KeyError, TypeError, ValueError or IndexError for what is damaged.
    """
    if "models" not in arrays:
        listed = cast(list[dict[str, JsonValue]], header["models"])
        return ModelTable.of([_read_model(entry) for entry in listed])
    identities, firsts, made = (arrays.pop(name) for name in MODEL_ARRAYS)
    kinds, width = cast(list[str], header["made_with"]), arrays["steps"].size
    ends = np.append(firsts, width)
    ordered = ends[0] == 0 and (np.diff(ends) > 0).all()
    known = ((made >= 0) & (made < len(kinds))).all()
    if identities.shape != (len(firsts), _HEX_DIGITS) or made.shape != firsts.shape:
        raise ValueError("models")
    if not ordered or not known:
        raise ValueError("columns")
    return ModelTable(identities, ends, made, tuple(map(str, kinds)))


def _read_model(entry: Mapping[str, JsonValue]) -> BlockModel:
    return BlockModel(
        behaviour_digest=cast(str, entry["behaviour_digest"]),
        responses_sha256=cast(str, entry["responses_sha256"]),
        first=int(cast(int, entry["first"])),
        logits=int(cast(int, entry["logits"])),
        made_with=str(entry.get("made_with", "")),
    )
