"""Types of the library's results come in; the types of the hub's answers go out, for openapi.json.

No answer is made here: the serialiser of the commands does that. Tests hold each answer against its
type, key by key.
"""

from dataclasses import dataclass
from typing import Any, Literal

from lagotto.core.results.through import Through
from lagotto.core.types import Hit
from lagotto.hub.labels.audit import ModelAudit
from lagotto.hub.labels.concepts import ConceptGroup
from lagotto.hub.labels.coverage import CoveredLabel
from lagotto.hub.labels.duplicates import ModelPair
from lagotto.hub.reader.model_status import ModelStatus
from lagotto.web.live.jobs import JobState
from lagotto.web.queries import OutputProbe, ProbeOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedQuery:
    """What was asked for; `value` has the names of pictures, or words, or MODEL:NUMBER."""

    kind: Literal["text", "logit", "image"]
    value: str | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """Hits, as `lagotto search --json` prints them, with the notes and the deciding probes."""

    query: SearchedQuery
    hub: str
    k: int
    presence: float | None
    coverage: float | None
    low_rank: bool
    hits: list[Hit]
    elapsed_s: float | None
    deciding_probes: list[int]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPicture:
    """A picture that is kept for a day: `digest` names it in searches."""

    digest: str
    width: int
    height: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPictures:
    """The pictures of one request, in order."""

    pictures: list[KeptPicture]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSearchAnswer(SearchAnswer):
    """Hits for pictures that were sent, and the digests of the pictures."""

    pictures: list[KeptPicture]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelListAnswer:
    """A page of models; `next` is the cursor of the next page, null at the end."""

    hub: str
    count: int
    models: list[ModelStatus]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer(ModelStatus):
    """A model as `lagotto hub status --json` prints it, and the hub's name."""

    hub: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLabel:
    """An output and its published label, null without one."""

    logit: int
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputListAnswer:
    """All outputs of a model."""

    hub: str
    model: str
    outputs: list[PublishedLabel]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputAnswer:
    """One output; `is_searched` is false for an invalid one."""

    hub: str
    model: str
    logit: int
    label: str | None
    is_searched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputProbesAnswer:
    """The probes to which an output responds most, and least, in standard deviations."""

    hub: str
    model: str
    logit: int
    strongest: list[OutputProbe]
    weakest: list[OutputProbe]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedName:
    """A name for an output, and the labelled output of another model that led to it."""

    name: str
    confidence: float
    fit: float
    through: Through | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProbe:
    """A probe by its number, and its source."""

    index: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedOutput:
    """An output with its proposed names, best first; `name` is the first if it is sure enough."""

    logit: int
    label: str | None
    name: str
    proposals: list[ProposedName]
    probes: list[NamedProbe]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedVocabulary:
    """Whose words the proposed names are, and how many there are."""

    source: str
    names: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptionAnswer:
    """Proposed names for the outputs of a model, as `lagotto describe --json` prints them."""

    hub: str
    model: str
    vocabulary: UsedVocabulary
    logits: list[DescribedOutput]
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnswer:
    """Audits of label lists, as `lagotto audit --json` prints them."""

    hub: str
    models: list[ModelAudit]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesAnswer:
    """Models that are nearly the same, or related, as `lagotto duplicates --json` prints them."""

    hub: str
    twins: list[list[str]]
    families: list[list[str]]
    pairs: list[ModelPair]
    copies: list[list[str]]
    concepts: list[ConceptGroup]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsQuery:
    """The labels that were asked for."""

    kind: Literal["labels"]
    value: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveringModel:
    """A model with an output for each label; `spare` counts its other outputs."""

    rank: int
    model: str
    coverage: float
    mean_fit: float
    mean_lead: float
    weakest: str
    spare: int
    labels: list[CoveredLabel]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageAnswer:
    """The models that cover a set of labels, as `lagotto search --labels --json` prints them."""

    query: LabelsQuery
    hub: str
    models: list[CoveringModel]
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedProbe:
    """A probe: its number, the digest of its pixels, its source, its captions."""

    probe: int
    digest: str
    source: str
    captions: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAnswer(ListedProbe):
    """A probe, and the hub's name."""

    hub: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeListAnswer:
    """A page of probes; `next` is the cursor of the next page, null at the end."""

    hub: str
    count: int
    probes: list[ListedProbe]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutputsAnswer:
    """The outputs of the whole hub that respond most to a probe."""

    hub: str
    probe: int
    outputs: list[ProbeOutput]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAnswer:
    """A job; `result` once it is done, `error` once it has failed."""

    id: str
    kind: Literal["classify", "add"]
    state: JobState
    result: dict[str, Any] | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """A job without its result."""

    id: str
    kind: Literal["classify", "add"]
    state: JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobListAnswer:
    """The jobs that are known, oldest first."""

    jobs: list[ListedJob]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """Whether the server is warm."""

    status: Literal["ready", "warming up"]
