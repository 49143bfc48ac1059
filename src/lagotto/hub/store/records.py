"""The values that go into the catalogue of a hub and come out of it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args

from lagotto.core.errors import HubError
from lagotto.core.types import JsonObject, ModelKind

RECOGNIZED = "recognized"
"""Key of a recorded input: the architecture and the kind of a model, where they are not usual."""

RAN_ON = "device"
"""Key of a recorded input: the GPU that a model ran on; a model without it ran on the CPU."""

GPU_NAME = re.compile(r"cuda:[0-9]{1,3}")

MODEL_COLUMNS = (
    "position, digest, name, status, source, framework, outputs, output, logits_source, input, "
    "notes, responses_sha256"
)
"""The columns of the catalogue that make a model's record: see `model_record`."""

Status: TypeAlias = Literal["pending", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Listing:
    """A model as a user listed it: its behaviour digest, its name and its source (path or spec).

    `position` is its place in the catalogue; None: behind all others.
    """

    digest: str
    name: str
    source: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of a file of responses: its size, when it was changed, how many probes it has.

    A file of this size and time is taken for the one that was recorded, without a look into it.
    """

    bytes: int
    changed_ns: int
    probes_seen: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The result of probing a model.

    `invalid` says of each logit why it cannot be searched, or "". `labels` has one entry a logit,
    if the model publishes any. `input` is the resolved InputSpec as JSON, `responses_sha256` the
    checksum of its responses.
    """

    framework: str
    outputs: int
    output: str
    logits_source: str
    input: JsonObject
    notes: tuple[str, ...]
    labels: tuple[str, ...] | None
    invalid: tuple[str, ...]
    responses_sha256: str


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model that the hub knows. `position` orders models as they were first listed.

    Fields from `framework` on are empty unless the status is done.
    """

    position: int
    digest: str
    name: str
    status: Status
    source: str
    framework: str = ""
    outputs: int = 0
    output: str = ""
    logits_source: str = ""
    input: JsonObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    responses_sha256: str = ""

    @property
    def architecture(self) -> str:
        """The network that the weights were recognized as, "" if the file holds its own graph."""
        return self._recognized("architecture")

    @property
    def device(self) -> str:
        """Where it ran over the probes when it was added: `cpu`, or `cuda:N`."""
        device = self.input.get(RAN_ON)
        return device if isinstance(device, str) and GPU_NAME.fullmatch(device) else "cpu"

    @property
    def kind(self) -> ModelKind:
        """What was reduced to one value a class: nothing, boxes or pixels."""
        kind = self._recognized("kind")
        return cast(ModelKind, kind) if kind in get_args(ModelKind) else "classifier"

    def _recognized(self, key: str) -> str:
        match self.input.get(RECOGNIZED):
            case dict(facts):
                return str(facts.get(key) or "")
        return ""


def model_record(row: tuple[Any, ...]) -> ModelRecord:
    """The record of a row of the catalogue, whose input and notes are JSON.

    Raises HubError if the row is not one that was written.
    """
    values = list(row)
    try:
        values[9], values[10] = json.loads(row[9]), tuple(json.loads(row[10]))
        record = ModelRecord(*values)
    except (ValueError, TypeError, RecursionError):
        record = None
    texts = (*row[1:6], *row[7:9], row[11])
    if (
        record is None
        or not all(isinstance(text, str) for text in (*texts, *record.notes))
        or not all(isinstance(number, int) for number in (row[0], row[6]))
        or not isinstance(record.input, dict)
    ):
        raise HubError(
            f"the catalogue's record of {str(row[2])[:200]!r} is damaged; to see what is, run "
            "lagotto hub verify; restore catalogue.sqlite from a copy, or make the hub anew"
        )
    return record


@dataclass(frozen=True, slots=True)
class LogitRecord:
    """One logit of a model: its published label, if any, and why it is invalid, or ""."""

    logit: int
    label: str | None
    invalid: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """The verdict on a model's published labels, and the logits whose label seems misplaced.

    `key` is a sha256 over what was audited: the labels, and the checksum of the responses.
    """

    key: str
    verdict: str
    misplaced: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelListRecord:
    """A probed model's list of labels; `audit` is None until the list was audited.

    `labelled` is False for a model that publishes none.
    """

    model: str
    digest: str
    responses_sha256: str
    outputs: int
    labelled: bool
    audit: AuditRecord | None


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Why a model has no responses: the runner's kind of failure, and its reason."""

    digest: str
    name: str
    source: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailedModel:
    """A model that could not be probed; `kind` is error, crash, timeout, memory or source."""

    model: str
    source: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Another source of a known model, called `name` there; `original` is its name in the hub."""

    digest: str
    name: str
    source: str
    original: str


def split_copies(
    copies: Sequence[Copy], failures: Sequence[FailureRecord]
) -> tuple[tuple[tuple[str, str], ...], tuple[FailedModel, ...]]:
    """The copies as (name, original); a copy of a model that failed is a failure, too."""
    reasons = {failure.digest: failure for failure in failures}
    good, failed = [], []
    for copy in copies:
        failure = reasons.get(copy.digest)
        if failure is None:
            good.append((copy.name, copy.original))
        else:
            reason = f"a copy of {copy.original}: {failure.reason}"
            failed.append(FailedModel(copy.name, copy.source, failure.kind, reason))
    return tuple(good), tuple(failed)


@dataclass(frozen=True, slots=True)
class Plan:
    """The models to probe, in the order of listing, the number of those done, and the copies."""

    pending: tuple[ModelRecord, ...]
    already: int
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One `hub add`: its command, its begin and end (ISO 8601; no end if killed), its counts."""

    id: int
    command: JsonObject
    started: str
    finished: str | None
    done: int
    failed: int
    skipped: int
