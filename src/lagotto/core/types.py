"""The values that rooms hand to each other: frozen, typed, without behaviour of their own."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float

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
InputDtype: TypeAlias = Literal["float32", "float16", "uint8", "int8"]
OutputKind: TypeAlias = Literal["logits", "softmax", "sigmoid"]
LogitsSource: TypeAlias = Literal["declared", "cut", "log"]
InputField: TypeAlias = Literal["size", "layout", "channels", "scale", "resize"]
Origin: TypeAlias = Literal["model.json", "file", "inferred", "assumed"]


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
    An integer input with scale 0..255 gets the pixels as they are (int8: minus 128).
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

    An `inferred` value was found by trying candidates; an `assumed` value is the common one, taken
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
    fallback, an assumed value), one line each. `decisions` give the origin of each part of `input`.
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
class Probe:
    """One picture of a probe set: the sha256 of its file in hex, its source, and its captions."""

    digest: str
    source: str
    captions: tuple[str, ...] = ()


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

    Of a single concept in words by the default rule, `confidence` is the share of such hits that
    are right, and `quality` the share of the concept's pictures that the logit is expected to
    recognise. Of all else, `confidence` only tells how unlikely such a score is by accident, and
    `quality` is None.
    """

    rank: int
    model: str
    logit: int
    label: str | None
    distance: float
    score: float
    confidence: float
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for: `kind` and a printable `value`."""

    kind: Literal["text", "logit", "image"]
    value: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """The answer to a search, nearest first, and the probes that decided it, best first.

    `presence` is how likely any logit of the hub recognises the concept, `coverage` how surely any
    probe shows it; both only of a single concept in words by the default rule. `low_rank`: the hits
    are the best of candidates that a low-rank index gave, not of all logits.
    """

    query: Query
    k: int
    hits: tuple[Hit, ...]
    deciding_probes: tuple[int, ...]
    notes: tuple[str, ...] = ()
    presence: float | None = None
    coverage: float | None = None
    low_rank: bool = False
