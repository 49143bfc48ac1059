"""The values that rooms hand to each other: frozen, typed, without behaviour of their own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
from jaxtyping import Bool, Float

from lagotto.core.arguments.extras import load_extra
from lagotto.core.errors import LagottoError
from lagotto.core.results.html import SmallPicture, html_line, html_pictures, html_table
from lagotto.core.results.json_text import json_line
from lagotto.core.results.through import Through

if TYPE_CHECKING:
    JsonValue: TypeAlias = (
        str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None
    )
else:  # a run-time type checker cannot resolve the recursion
    JsonValue = str | int | float | bool | list | dict[str, object] | None
JsonObject: TypeAlias = dict[str, JsonValue]

Channels: TypeAlias = Literal["RGB", "BGR", "L"]
Layout: TypeAlias = Literal["NHWC", "NCHW"]
Resize: TypeAlias = Literal["stretch", "crop"]
Resample: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Scale: TypeAlias = Literal["0..255", "0..1", "-1..1"]
InputDtype: TypeAlias = Literal["float32", "float16", "uint8", "int8", "float64", "int32", "int64"]
OutputKind: TypeAlias = Literal["logits", "softmax", "sigmoid"]
ModelKind: TypeAlias = Literal["classifier", "detector", "segmenter"]
LogitsSource: TypeAlias = Literal["declared", "cut", "log"]
InputField: TypeAlias = Literal["size", "layout", "channels", "scale", "resize", "architecture"]
Origin: TypeAlias = str
"""Where a fact of a model is from: "model.json", "file" (the model file), the name of another file
beside it, "inferred" (found by trying candidates), "architecture" (how networks of its kind are
usually fed) or "assumed" (the common value)."""


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """How a picture becomes a uint8 array; equal specs share one probe cache.

    `crop`: the shortest edge is resized to size / crop_fraction, then the centre is cropped.
    `stretch`: both edges are resized to that, whatever the aspect, then the centre is cropped.
    Channels are RGB or L: BGR is a view of RGB.
    """

    height: int
    width: int
    grey: bool = False
    resize: Resize = "crop"
    crop_fraction: float = 1.0
    resample: Resample = "bilinear"

    @property
    def key(self) -> str:
        """A name of this spec that can be part of a file name."""
        channels = "L" if self.grey else "RGB"
        cropped = self.resize == "crop" or self.crop_fraction != 1
        crop = f"-{self.crop_fraction:g}" if cropped else ""
        return f"{self.height}x{self.width}-{channels}-{self.resize}{crop}-{self.resample}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one picture."""
        return self.height, self.width, 1 if self.grey else 3


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How uint8 pixels become the input tensor of a model.

    A float input gets `(scaled - mean) / std`, where `scaled` are the pixels mapped to `scale`.
    An integer input with scale 0..255 gets the pixels as they are (int8: minus 128). An input of
    float64 gets float32 values.
    """

    pixels: PixelSpec
    layout: Layout
    channels: Channels
    dtype: InputDtype
    scale: Scale
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A classifier on disk before it is loaded: its file and its description (model.json)."""

    name: str
    file: Path
    description: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """One part of a model's input: its value in words, and its origin.

    The field `architecture` is there only if networks with the same tensors were tried. An
    `inferred` value was found by trying candidates; an `assumed` value is the common one, taken
    without evidence. For an inferred value, `margin` is its lead over `runner_up` in the units of
    models/preprocessing/infer.py; it is negative where the common value was preferred to a slightly
    better one. `reason` says why it was taken.
    """

    field: InputField
    value: str
    origin: Origin
    margin: float | None = None
    runner_up: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A classifier as it will be run: its input, its number of outputs, how its logits are read.

    `logits_source` says how the values *before* a softmax or sigmoid are read: `declared` (the
    output is already logits), `cut` (the tensor that feeds the final activation is read), `log`
    (log of the probabilities, floored at half a quantization step). `notes` are facts to show (a
    fallback, an assumed value), one line each. `decisions` give the origin of each part of `input`;
    `output_origin` and `labels_origin` are those of `output` and `labels`, "" if there is none.
    `architecture` is the network that its weights were recognized as, as `resnet50`, "" if the file
    holds its own graph. `kind` says what is reduced: nothing, boxes, pixels. `device`: cpu, cuda:N.
    """

    name: str
    file: Path
    framework: str
    input: InputSpec
    outputs: int
    output: OutputKind
    logits_source: LogitsSource
    labels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    output_origin: Origin = ""
    labels_origin: Origin = ""
    architecture: str = ""
    kind: ModelKind = "classifier"
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """The identity of an image-text encoder, and the form of its inputs.

    `fingerprint` is a digest of weights, preprocessing and tokenizer. `dim` is the length of an
    embedding. `logit_scale` multiplies cosines before a softmax. `context_length` is the length of
    the longest text in tokens. `prompt_template` has one {} for a label.
    """

    name: str
    fingerprint: str
    dim: int
    pixels: PixelSpec
    logit_scale: float
    context_length: int
    prompt_template: str


@dataclass(frozen=True, slots=True)
class Credit:
    """What the source of a picture states about it: its licence, author and origin; "" if not."""

    licence: str = ""
    author: str = ""
    origin: str = ""


NO_CREDIT = Credit()
"""Of a picture whose source states nothing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One picture of a probe set: the sha256 of its file in hex, and what its source says of it."""

    digest: str
    source: str
    captions: tuple[str, ...] = ()
    credit: Credit = NO_CREDIT


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture, row or model that was left out, and the reason."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Responses of each logit, standardized over the probes (ProbeLog, section 3).

    `invalid` has one entry a logit: "" if it can be searched, else the reason why not (constant,
    not finite). The values of an invalid logit are zero.
    """

    values: Float[np.ndarray, "probes logits"]
    invalid: tuple[str, ...]

    @property
    def usable(self) -> Bool[np.ndarray, " logits"]:
        """True where a logit can be searched."""
        return np.array([not reason for reason in self.invalid], dtype=bool)


@dataclass(frozen=True, slots=True)
class Hit:
    """One logit found by a search; field names are those of `lagotto search --json`.

    Attributes:
        rank: From 1, best first.
        model: The model's name in the hub.
        logit: The output's number, from 0.
        label: The output's published label, None where there is none.
        distance: The paper's distance, in standard deviations over the deciding probes.
        score: What hits are ordered by, 0 to 1.
        confidence: The expected precision: the share of such hits that are right. None where it is
            not known, which is all but a single concept in words by the default rule.
        quality: The share of the concept's pictures that the logit is expected to recognise; None
            where `confidence` is.
        p_value: Where `confidence` is None, the probability that any logit of a hub of this size
            has such a score by accident. Small: an accident is unlikely. It is no precision.
        through: The labelled output of another model that led to the hit; None where the hit's own
            label or its behaviour alone did.
    """

    rank: int
    model: str
    logit: int
    label: str | None
    distance: float
    score: float
    confidence: float | None = None
    quality: float | None = None
    p_value: float | None = None
    through: Through | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for: `kind` and a printable `value`."""

    kind: Literal["text", "logit", "image"]
    value: str | tuple[str, ...]

    @property
    def text(self) -> str:
        """The value in one string."""
        return self.value if isinstance(self.value, str) else ", ".join(self.value)


ProbePictures: TypeAlias = Callable[[Sequence[int]], Sequence[SmallPicture]]
"""Gives small pictures of some probes, by their numbers; as many as it thinks fit."""


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """The answer to a search, nearest first: a sequence of `Hit`.

    A slice is a `Hits` of the same search with fewer hits. In a notebook it shows a table and the
    probes that decided.

    Attributes:
        query: What was asked.
        k: How many probes decided.
        hits: The hits as a tuple.
        deciding_probes: The numbers of the probes that decided, best first.
        notes: What is worth knowing of the answer, one line each.
        presence: How likely any logit of the hub recognises the concept, 0 to 1.
        coverage: How surely any probe shows the concept, 0 to 1. Like `presence` only of a single
            concept in words by the default rule, else None.
        low_rank: True if the hits are the best of candidates that a low-rank index gave, not of all
            logits.
        hub: The folder of the hub that was searched, "" if there was none.
        elapsed_s: Seconds that the search took. It has no part in comparisons, nor has `hub`.
        probe_pictures: Gives small pictures of the probes; None: there are none to show.

    Example:
        >>> hits = Hits(Query("text", "dog"), 50, (Hit(1, "m", 3, "dog", 2.0, 0.9),), (0, 1))
        >>> len(hits), hits[0].model, [hit.logit for hit in hits]
        (1, 'm', [3])
    """

    query: Query
    k: int
    hits: tuple[Hit, ...]
    deciding_probes: tuple[int, ...]
    notes: tuple[str, ...] = ()
    presence: float | None = None
    coverage: float | None = None
    low_rank: bool = False
    hub: str = field(default="", compare=False, repr=False)
    elapsed_s: float | None = field(default=None, compare=False, repr=False)
    probe_pictures: ProbePictures | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> "Hits": ...
    def __getitem__(self, index: int | slice) -> "Hit | Hits":
        if isinstance(index, slice):
            return replace(self, hits=self.hits[index])
        return self.hits[index]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles everything but the way to the probes' pictures."""
        return type(self), tuple(getattr(self, each.name) for each in fields(self)[:-1])

    def as_json(self) -> JsonObject:
        """The object that `lagotto search --json` prints.

        Returns:
            The keys query, hub, k, presence, coverage, low_rank, hits and elapsed_s.
        """
        value = self.query.value
        return {
            "query": {
                "kind": self.query.kind,
                "value": list(value) if isinstance(value, tuple) else value,
            },
            "hub": self.hub,
            "k": self.k,
            "presence": self.presence,
            "coverage": self.coverage,
            "low_rank": self.low_rank,
            "hits": [asdict(hit) for hit in self.hits],
            "elapsed_s": None if self.elapsed_s is None else round(self.elapsed_s, 6),
        }

    def to_json(self) -> str:
        """The line that `lagotto search --json` prints, without its end."""
        return json_line(self.as_json())

    def to_dataframe(self) -> Any:
        """The hits as a pandas DataFrame: a row a hit, a column a field of `Hit`.

        Raises:
            MissingExtraError: If pandas is not installed; the message holds the pip line.
        """
        pandas = load_extra("pandas", "pandas", "Hits.to_dataframe()")
        names = [each.name for each in fields(Hit)]
        return pandas.DataFrame([asdict(hit) for hit in self.hits], columns=names)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Columns and rows of text; of confidence, quality and p_value those that are known."""
        known = [
            name
            for name in _MAYBE_KNOWN
            if any(getattr(hit, name) is not None for hit in self.hits)
        ]
        rows = [
            (
                str(hit.rank),
                hit.model,
                str(hit.logit),
                hit.label or "-",
                f"{hit.distance:.3f}",
                f"{hit.score:.3f}",
                *(_printed(getattr(hit, name), _MAYBE_KNOWN[name]) for name in known),
            )
            for hit in self.hits
        ]
        return ("rank", "model", "logit", "label", "distance", "score", *known), rows

    def _repr_html_(self) -> str:
        columns, rows = self.table()
        said = f"{self.query.kind}: {self.query.text}"
        parts = [
            html_line(said),
            html_table(columns, rows, frozenset(columns) - {"model", "label"}),
            *(html_line(f"note: {note}") for note in self.notes),
        ]
        if self.probe_pictures is not None and self.deciding_probes:
            try:
                pictures = self.probe_pictures(self.deciding_probes)
                parts.append(html_pictures("probes that decided, best first", pictures))
            except LagottoError as error:
                parts.append(html_line(f"the probes that decided cannot be shown: {error}"))
        return "".join(parts)


_MAYBE_KNOWN = {"confidence": ".2f", "quality": ".2f", "p_value": ".2g"}
"""Columns that a table of hits has only where some hit has a value, and their number format."""


def _printed(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
