"""Stage 3a on a hub's folder: partly probed models → HUB/completion.safetensors, made when needed.

The file is derived: it says for which responses it holds, and is made anew when they change. Models
are read from disk whenever they are needed, so a hub need not fit in memory. See docs/formats.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, overload

import numpy as np
from jaxtyping import Float32, Integer

from lagotto.core.errors import HubError
from lagotto.core.files import writing
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
from lagotto.hub.completion.fit import Collaboration, collaborate
from lagotto.hub.completion.guard import CompletionUse, Use
from lagotto.hub.completion.holdout import HyperparameterSearch
from lagotto.hub.descriptors.blocks import Answers
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.responses import Responses, read_responses
from lagotto.hub.store.tensorfile import (
    TensorFile,
    open_tensors,
    write_tensors,
)

_FORMAT = "lagotto-completion"
_VERSION = 1
_CHOOSE_AGAIN = 1.5


@dataclass(frozen=True, slots=True)
class HubCompletion:
    """What the partly probed models of a hub came to: factors, and a verdict by behaviour digest.

    `held` are the models and the checksums of their responses that it was made from. `chosen_for`
    is their number when the settings were chosen.
    """

    factors: ProbeFactors
    settings: Settings
    skill: float
    verdicts: dict[str, CompletionUse]
    held: tuple[tuple[str, str], ...]
    chosen_for: int
    sha256: str

    def responses(self, model: Responses) -> Float32[np.ndarray, "probes logits"]:
        """A model's raw logits on every probe: predicted where it was not asked."""
        columns, scale = to_columns(np.array(model.values), model.seen)
        return to_responses(complete(self.factors, columns), scale)

    def answers(self, model: Responses) -> "CompletedAnswers":
        """The same, some rows at a time."""
        columns, scale = to_columns(np.array(model.values), model.seen)
        return CompletedAnswers(model, self.factors, fold_in(self.factors, columns), scale)


@dataclass(frozen=True, slots=True)
class CompletedAnswers:
    """A model's raw logits on every probe, computed for the rows that are asked for."""

    seen: Responses
    factors: ProbeFactors
    own: Float32[np.ndarray, "rank columns"]
    scale: ColumnScale

    def rows(
        self, probes: Integer[np.ndarray, " k"], logits: Integer[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "k columns"]:
        """The chosen logits on the chosen probes: as answered where seen, predicted elsewhere."""
        predicted = to_responses(self.factors.values[probes] @ self.own, self.scale)[:, logits]
        answered = self.seen.rows(probes, logits)
        known = np.isin(probes, self.seen.seen)
        predicted[known] = answered[known]
        return predicted


class StoredColumns(Sequence[SeenColumns]):
    """The columns of models on disk, read each time they are asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, place: int) -> SeenColumns: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[SeenColumns]: ...
    def __getitem__(self, place: int | slice) -> SeenColumns | Sequence[SeenColumns]:
        if isinstance(place, slice):
            return StoredColumns(self._paths[place])
        responses = read_responses(self._paths[place])
        return to_columns(np.array(responses.values), responses.seen)[0]

    def __iter__(self) -> Iterator[SeenColumns]:
        return (self[place] for place in range(len(self)))


def current_completion(
    layout: HubLayout, held: Sequence[tuple[str, str]], probe_digest: str
) -> HubCompletion | None:
    """The completion of exactly these models (digest, checksum), made anew if there is none.

    None where every model saw every probe; a file of an earlier state is then removed. An earlier
    completion is the start of the next, so adding models is quicker than beginning again.
    """
    paths = [layout.responses_of(digest) for digest, _ in held]
    if all(read_responses(path, probe_digest).is_full for path in paths):
        with writing(layout.completion):
            layout.completion.unlink(missing_ok=True)
        return None
    before = read_completion(layout, probe_digest)
    if before is not None and before.held == tuple(held):
        return before
    side = np.load(layout.embeddings, allow_pickle=False)
    models = StoredColumns(paths)
    fresh = before is None or len(held) > _CHOOSE_AGAIN * before.chosen_for
    found = collaborate(
        models,
        side,
        before=None if before is None or fresh else before.factors,
        choice=None if before is None or fresh else HyperparameterSearch(before.settings, ()),
    )
    chosen_for = len(held) if before is None or fresh else before.chosen_for
    _write(layout.completion, found, tuple(held), chosen_for, probe_digest)
    return read_completion(layout, probe_digest)


def read_completion(layout: HubLayout, probe_digest: str) -> HubCompletion | None:
    """The stored completion; None where there is none that can be used."""
    if not layout.completion.is_file():
        return None
    try:
        file = open_tensors(layout.completion, _FORMAT, _VERSION)
        if file.header.get("probe_digest") != probe_digest:
            return None
        return _parsed(file)
    except (HubError, KeyError, TypeError, ValueError):
        return None


def _write(
    path: Path,
    found: Collaboration,
    held: tuple[tuple[str, str], ...],
    chosen_for: int,
    probe_digest: str,
) -> None:
    models: list[JsonValue] = [
        {"behaviour_digest": digest, "responses_sha256": checksum, **asdict(verdict)}
        for (digest, checksum), verdict in zip(held, found.verdict.models, strict=True)
    ]
    header: JsonObject = {
        "format": _FORMAT,
        "version": _VERSION,
        "probe_digest": probe_digest,
        "noise": found.factors.noise,
        "settings": asdict(found.choice.settings),
        "skill": found.verdict.skill,
        "chosen_for": chosen_for,
        "models": models,
    }
    values = found.factors.values
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
            each["behaviour_digest"]: CompletionUse(
                cast(Use, each["use"]), float(each["skill"]), each["reason"]
            )
            for each in models
        },
        held=tuple((each["behaviour_digest"], each["responses_sha256"]) for each in models),
        chosen_for=int(cast(int, header["chosen_for"])),
        sha256=file.sha256,
    )


def searched_answers(completion: HubCompletion | None, responses: Responses) -> Answers:
    """A model's answers as they are searched: completed, or those that it gave."""
    digest = responses.header.behaviour_digest
    verdict = None if completion is None else completion.verdicts.get(digest)
    if completion is None or verdict is None or verdict.use != "completed":
        return responses
    return completion.answers(responses)


def searched(layout: HubLayout, responses: Responses) -> Float32[np.ndarray, "probes logits"]:
    """Raw logits on all probes as they are searched: predicted, or at their mean, if unseen."""
    if responses.is_full:
        return responses.values
    completion = read_completion(layout, responses.header.probe_digest)
    answers = searched_answers(completion, responses)
    if completion is not None and answers is not responses:
        return completion.responses(responses)
    every = np.tile(responses.values.mean(axis=0), (responses.probes, 1))
    every[responses.seen] = responses.values
    return every
