"""The type of the answer of a classification, for openapi.json, as the command prints it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVote:
    """What the encoder alone says."""

    label: str
    probabilities: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteWeights:
    """The weights of the votes; `hub` only where models of a hub may vote."""

    image: float
    captions: float
    hub: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCaption:
    """A caption that voted, and its cosine with the picture."""

    text: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialistVote:
    """What one model of the hub says; `rest` is for labels that it does not know."""

    model: str
    why: str
    weight: float
    probabilities: list[float]
    rest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedName:
    """What a picture may be if none of the labels fits."""

    name: str
    probability: float
    captions: int
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedImage:
    """A picture: its probabilities and what made them; `voices` only where a hub may vote,
    `declined` only where captions declined."""

    path: str
    label: str
    probabilities: list[float]
    image_only: ImageVote
    weights: VoteWeights
    captions: list[FoundCaption]
    none: float
    suggestions: list[SuggestedName]
    voices: list[SpecialistVote] = ()  # type: ignore[assignment]  # a key that may be absent
    declined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadImage:
    """A picture that could not be read, and why."""

    path: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLabel:
    """A label that a model of the hub knows, and by which output."""

    label: str
    output: int
    published: str | None
    agreement: float
    on_probes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialistModel:
    """A model of the hub that votes, and the labels that it knows."""

    model: str
    why: str
    weight: float
    explains: float
    named: int
    names_agree: float | None
    knows: list[KnownLabel]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureCount:
    """How many pictures were seen, taken and skipped."""

    seen: int
    taken: int
    skipped: int
    passed_over: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationAnswer:
    """Predictions, as `lagotto classify --json` prints them; `specialists` only with a hub."""

    labels: list[str]
    encoder: str
    mode: str
    images: list[ClassifiedImage | UnreadImage]
    source_count: PictureCount
    digests: list[str]
    notes: list[str]
    elapsed_s: float
    specialists: list[SpecialistModel] = ()  # type: ignore[assignment]  # a key that may be absent


MAY_LACK = {
    "VoteWeights": ("hub",),
    "ClassifiedImage": ("voices", "declined"),
    "ClassificationAnswer": ("specialists",),
}
"""The keys that an answer may lack; every other key is always there."""
