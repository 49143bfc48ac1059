"""A folder of raw responses comes in; models with their responses, without running them, go out.

    DIR/models.json            {"models": [{"model", "labels", ...}], "probes": [...]}
    DIR/responses.npz          u8 [probes, logits], scale [logits], offset [logits]
    DIR/probe_embeddings.npy   [probes, dim], by the encoder of the queries

A response is u8 * scale + offset. Columns follow the models and their labels in order. A model may
have "accuracy" and "label_accuracy": shares of right answers on held-out pictures.
"""

import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import UsageError
from lagotto.core.files import read_array, read_json, sha256_file
from lagotto.core.vectors import unit_rows

MODELS_NAME = "models.json"
RESPONSES_NAME = "responses.npz"
EMBEDDINGS_NAME = "probe_embeddings.npy"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
_FORMAT_HINT = "the form is told in docs/how-to/evaluate.md"


@dataclass(frozen=True, slots=True)
class RawModel:
    """A model by its responses: raw logits on every probe, one label a logit.

    Accuracies, of the model and of each label, are shares of held-out pictures; None if unknown.
    """

    name: str
    labels: tuple[str, ...]
    values: Float32[np.ndarray, "probes logits"]
    accuracy: float | None
    label_accuracy: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class RawResponses:
    """Models with all their responses, and the unit embeddings of the probes.

    `digest` identifies the three files; results state it.
    """

    folder: Path
    models: tuple[RawModel, ...]
    embeddings: Float32[np.ndarray, "probes dim"]
    digest: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of every logit, all models joined."""
        return tuple(label for model in self.models for label in model.labels)


def read_raw_responses(folder: Path) -> RawResponses:
    """Reads the models of a folder into memory.

    Raises:
        UsageError: A file is missing, damaged, or does not fit the others.
    """
    entries = _read_models(folder / MODELS_NAME)
    values = _read_values(folder / RESPONSES_NAME)
    embeddings = _read_embeddings(folder / EMBEDDINGS_NAME)
    widths = [len(model.labels) for model in entries]
    if values.shape != (len(embeddings), sum(widths)):
        raise UsageError(
            f"{folder} does not fit together: {RESPONSES_NAME} holds {values.shape[0]} probes x "
            f"{values.shape[1]} logits, {EMBEDDINGS_NAME} {len(embeddings)} probes and "
            f"{MODELS_NAME} {sum(widths)} labels; {_FORMAT_HINT}"
        )
    ends = np.cumsum(widths).tolist()
    models = tuple(
        RawModel(
            model.name,
            model.labels,
            values[:, end - len(model.labels) : end],
            model.accuracy,
            model.label_accuracy,
        )
        for model, end in zip(entries, ends, strict=True)
    )
    digests = [
        sha256_file(folder / name, UsageError)
        for name in (MODELS_NAME, RESPONSES_NAME, EMBEDDINGS_NAME)
    ]
    digest = sha256("\n".join(digests).encode()).hexdigest()
    return RawResponses(folder, models, embeddings, digest)


@dataclass(frozen=True, slots=True)
class _ModelEntry:
    name: str
    labels: tuple[str, ...]
    accuracy: float | None
    label_accuracy: tuple[float, ...] | None


def _read_models(path: Path) -> list[_ModelEntry]:
    entries = read_json(path, "list of models", UsageError).get("models")
    if not isinstance(entries, list) or not entries:
        raise UsageError(f'{path} has no list "models" with at least one entry; {_FORMAT_HINT}')
    models = [_read_model(path, position, entry) for position, entry in enumerate(entries)]
    if len({model.name for model in models}) < len(models):
        raise UsageError(f"{path} names a model twice; names are how results tell models apart")
    return models


def _read_model(path: Path, position: int, entry: object) -> _ModelEntry:
    match entry:
        case {"model": str(name), "labels": list(labels), **rest} if labels:
            pass
        case _:
            raise UsageError(
                f'{path}, model {position}: needs a "model" and "labels"; {_FORMAT_HINT}'
            )
    match rest.get("accuracy"), rest.get("label_accuracy"):
        case None | int() | float() as accuracy, None as by_label:
            pass
        case None | int() | float() as accuracy, list() as by_label if len(by_label) == len(labels):
            pass
        case _:
            raise UsageError(
                f'{path}, model {position}: "accuracy" is a number, and "label_accuracy" one '
                "number a label"
            )
    return _ModelEntry(
        name,
        tuple(str(label) for label in labels),
        accuracy,
        None if by_label is None else tuple(float(share) for share in by_label),
    )


def _read_values(path: Path) -> Float32[np.ndarray, "probes logits"]:
    """The responses, dequantized in float32."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            codes, scale, offset = file["u8"], file["scale"], file["offset"]
    except _UNREADABLE as error:
        raise UsageError(
            f"{path} cannot be read as u8, scale and offset ({error}); {_FORMAT_HINT}"
        ) from error
    if codes.ndim != 2 or codes.dtype != np.uint8 or codes.size == 0:
        raise UsageError(f"{path}: u8 is not bytes of probes x logits; {_FORMAT_HINT}")
    if not scale.shape == offset.shape == codes.shape[1:]:
        raise UsageError(f"{path}: scale and offset need one number a logit; {_FORMAT_HINT}")
    values = np.ascontiguousarray(codes).astype(np.float32)
    values *= scale.astype(np.float32)
    values += offset.astype(np.float32)
    return values


def _read_embeddings(path: Path) -> Float32[np.ndarray, "probes dim"]:
    try:
        embeddings = read_array(path, UsageError)
    except UsageError as error:
        raise UsageError(f"{error}; {_FORMAT_HINT}") from error
    if (
        not isinstance(embeddings, np.ndarray)
        or embeddings.ndim != 2
        or embeddings.dtype.kind != "f"
    ):
        raise UsageError(f"{path} holds no probes x dim numbers; {_FORMAT_HINT}")
    return unit_rows(embeddings)
