"""Partly probed models of a hub come in; HUB/completion.safetensors goes out, and is read back.

The file is derived: it lists the responses that it was fitted on, and is made anew when they
change. Models are read from disk at each access, so a hub need not fit in memory. The form of the
file: docs/reference/formats.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, overload

import numpy as np
from jaxtyping import Float32, Integer

from lagotto.core.errors import HubError
from lagotto.core.files import read_array, writing
from lagotto.core.types import JsonObject, JsonValue
from lagotto.hub.completion.columns import (
    ColumnScale,
    SeenColumns,
    to_columns,
    to_responses,
)
from lagotto.hub.completion.factorization import (
    ProbeFactors,
    Settings,
    complete,
    fold_in,
)
from lagotto.hub.completion.fit import FittedCompletion, fit_completion
from lagotto.hub.completion.guard import CompletionUse, Use
from lagotto.hub.completion.holdout import HyperparameterSearch
from lagotto.hub.descriptors.blocks import Answers
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.responses import Responses, read_responses
from lagotto.hub.store.tensorfile import (
    TensorFile,
    open_derived,
    write_tensors,
)

_FORMAT = "lagotto-completion"
_VERSION = 1
_SEARCH_AGAIN_FACTOR = 1.5
"""The settings are searched again when a hub has grown by this factor."""


@dataclass(frozen=True, slots=True)
class HubCompletion:
    """The stored completion of a hub: factors of its probes, and a verdict by behaviour digest.

    `sources` are the models that it was fitted on: (behaviour digest, checksum of the responses).
    `searched_models` is their number when the settings were searched. `skill` is the share of
    held-out variance that is predicted. `sha256` is the checksum of the file.
    """

    factors: ProbeFactors
    settings: Settings
    skill: float
    verdicts: dict[str, CompletionUse]
    sources: tuple[tuple[str, str], ...]
    searched_models: int
    sha256: str

    def responses(self, model: Responses) -> Float32[np.ndarray, "probes logits"]:
        """A model's raw logits on every probe: predicted where it did not see the probe."""
        columns, scale = to_columns(np.array(model.values), model.seen_probes)
        return to_responses(complete(self.factors, columns), scale)

    def lazy_responses(self, model: Responses) -> "CompletedResponses":
        """The same, computed some rows at a time."""
        columns, scale = to_columns(np.array(model.values), model.seen_probes)
        return CompletedResponses(model, self.factors, fold_in(self.factors, columns), scale)


@dataclass(frozen=True, slots=True)
class CompletedResponses:
    """A model's raw logits on every probe, computed for the rows that are asked for.

    `observed` are the responses on the probes that the model saw, `column_factors` the factors of
    its columns.
    """

    observed: Responses
    factors: ProbeFactors
    column_factors: Float32[np.ndarray, "rank columns"]
    scale: ColumnScale

    def rows(
        self, probes: Integer[np.ndarray, " k"], logits: Integer[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "k columns"]:
        """Some logits on some probes: as observed where the model saw the probe, else predicted."""
        columns = self.factors.values[probes] @ self.column_factors
        values = to_responses(columns, self.scale)[:, logits]
        mask = np.isin(probes, self.observed.seen_probes)
        values[mask] = self.observed.rows(probes, logits)[mask]
        return values


class StoredColumns(Sequence[SeenColumns]):
    """The columns of models on disk, read at each access."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> SeenColumns: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SeenColumns]: ...
    def __getitem__(self, index: int | slice) -> SeenColumns | Sequence[SeenColumns]:
        if isinstance(index, slice):
            return StoredColumns(self._paths[index])
        responses = read_responses(self._paths[index])
        return to_columns(np.array(responses.values), responses.seen_probes)[0]

    def __iter__(self) -> Iterator[SeenColumns]:
        return (self[index] for index in range(len(self)))


def current_completion(
    layout: HubLayout, sources: Sequence[tuple[str, str]], probe_digest: str
) -> HubCompletion | None:
    """The completion of exactly these models; it is fitted and stored if there is none.

    An earlier completion is the start of the next, so adding models is quicker than a fit from
    scratch.

    Args:
        layout: The hub.
        sources: The models: (behaviour digest, checksum of the responses).
        probe_digest: The identity of the hub's probe set.

    Returns:
        The completion; None where every model saw every probe. A file of an earlier state is then
        removed.

    Raises:
        HubError: Responses cannot be read, or the file cannot be written.
    """
    paths = [layout.responses_of(digest) for digest, _ in sources]
    if all(read_responses(path, probe_digest).is_full for path in paths):
        drop_completion(layout)
        return None
    before = read_completion(layout, probe_digest)
    if before is not None and before.sources == tuple(sources):
        return before
    side = read_array(layout.embeddings, HubError)
    models = StoredColumns(paths)
    if before is None or len(sources) > _SEARCH_AGAIN_FACTOR * before.searched_models:
        fitted, searched_models = fit_completion(models, side), len(sources)
    else:
        search = HyperparameterSearch(before.settings, ())
        fitted = fit_completion(models, side, start=before.factors, search=search)
        searched_models = before.searched_models
    _write(layout.completion, fitted, tuple(sources), searched_models, probe_digest)
    return read_completion(layout, probe_digest)


def drop_completion(layout: HubLayout) -> None:
    """Removes the completion of a hub whose models all saw every probe now."""
    with writing(layout.completion):
        layout.completion.unlink(missing_ok=True)


def read_completion(layout: HubLayout, probe_digest: str) -> HubCompletion | None:
    """The stored completion; None where there is none that can be used."""
    if not layout.completion.is_file():
        return None
    try:
        file = open_derived(layout.completion, _FORMAT, _VERSION)
        if file.header.get("probe_digest") != probe_digest:
            return None
        return _parsed(file)
    except (HubError, KeyError, TypeError, ValueError):
        return None


def _write(
    path: Path,
    fitted: FittedCompletion,
    sources: tuple[tuple[str, str], ...],
    searched_models: int,
    probe_digest: str,
) -> None:
    models: list[JsonValue] = [
        {"behaviour_digest": digest, "responses_sha256": checksum, **asdict(verdict)}
        for (digest, checksum), verdict in zip(sources, fitted.verdict.models, strict=True)
    ]
    header: JsonObject = {
        "format": _FORMAT,
        "version": _VERSION,
        "probe_digest": probe_digest,
        "noise": fitted.factors.noise,
        "settings": asdict(fitted.search.settings),
        "skill": fitted.verdict.skill,
        "chosen_for": searched_models,
        "models": models,
    }
    values = fitted.factors.values
    write_tensors(
        path,
        header,
        {"factors": ("F32", values.shape)},
        lambda arrays: np.copyto(arrays["factors"], values),
    )


def _parsed(file: TensorFile) -> HubCompletion:
    header = file.header
    models = cast(list[dict[str, str]], header["models"])
    settings = cast(dict[str, int], header["settings"])
    return HubCompletion(
        factors=ProbeFactors(np.array(file.arrays["factors"]), float(cast(float, header["noise"]))),
        settings=Settings(**settings),
        skill=float(cast(float, header["skill"])),
        verdicts={
            model["behaviour_digest"]: CompletionUse(
                cast(Use, model["use"]), float(model["skill"]), model["reason"]
            )
            for model in models
        },
        sources=tuple((model["behaviour_digest"], model["responses_sha256"]) for model in models),
        searched_models=int(cast(int, header["chosen_for"])),
        sha256=file.sha256,
    )


def searchable_rows(completion: HubCompletion | None, responses: Responses) -> Answers:
    """A model's responses as a search reads them, by rows: completed, or those observed."""
    digest = responses.header.behaviour_digest
    verdict = None if completion is None else completion.verdicts.get(digest)
    if completion is None or verdict is None or verdict.use != "completed":
        return responses
    return completion.lazy_responses(responses)


def searchable_responses(
    layout: HubLayout, responses: Responses
) -> Float32[np.ndarray, "probes logits"]:
    """A model's raw logits on all probes as a search reads them.

    Probes that the model did not see have the prediction, or without one the logit's mean.
    """
    if responses.is_full:
        return responses.values
    completion = read_completion(layout, responses.header.probe_digest)
    if completion is not None and searchable_rows(completion, responses) is not responses:
        return completion.responses(responses)
    values = np.tile(responses.values.mean(axis=0), (responses.probes, 1))
    values[responses.seen_probes] = responses.values
    return values
