"""A model.json comes in; its checked values (name, file, labels, input, output) go out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import cast, get_args

from lagotto.core.errors import ModelError, UsageError
from lagotto.core.files import read_at_most
from lagotto.core.parsing.name_list import (
    LIST_ENDINGS,
    MAX_LIST_BYTES,
    NameList,
    parse_name_list,
)
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_there
from lagotto.core.text.clean import clean_text
from lagotto.core.types import (
    Channels,
    InputDtype,
    JsonObject,
    JsonValue,
    Layout,
    OutputKind,
    Resample,
    Resize,
    Scale,
)
from lagotto.models.files.weights import inside

DESCRIPTION_FILE = "model.json"
UNREADABLE_DESCRIPTION = "lagotto:unreadable"
"""Key in the description of a ModelSource: the reason why its model.json cannot be used."""

MAX_EDGE = 4096
MAX_DESCRIPTION_BYTES = 1 << 20
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class InputDescription:
    """The `input` part of model.json; None or () means absent. `size` is (height, width)."""

    size: tuple[int, int] | None = None
    layout: Layout | None = None
    channels: Channels | None = None
    scale: Scale | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resize: Resize | None = None
    crop_fraction: float | None = None
    dtype: InputDtype | None = None
    resample: Resample | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """A checked model.json.

    `labels` are the labels, one an output; a list that still has to be placed on the outputs; or
    the name of the file that holds such a list.
    """

    name: str | None = None
    file: str | None = None
    labels: tuple[str, ...] | NameList | str | None = None
    input: InputDescription = InputDescription()
    output: OutputKind | None = None
    output_name: str | None = None

    @property
    def behaviour(self) -> JsonObject:
        """The parts that change a model's responses, in one canonical form.

        `resample` and `output_name` are newer than the first version. They are left out if absent,
        so that the digests of older models stay the same.
        """
        described = asdict(self.input)
        if described["resample"] is None:
            del described["resample"]
        behaviour = cast(JsonObject, {"input": described, "output": self.output})
        return behaviour | ({"output_name": self.output_name} if self.output_name else {})


def read_model_json(file: Path) -> JsonObject:
    """The JSON object in a model.json, unchecked; raises ModelError with the reason in one line."""
    try:
        data = read_at_most(file, MAX_DESCRIPTION_BYTES)
    except OSError as error:
        raise ModelError(f"{DESCRIPTION_FILE} cannot be read: {error.strerror}") from error
    if data is None:
        raise ModelError(
            f"{DESCRIPTION_FILE} is larger than 1 MB; keep long labels in a labels file"
        )
    instead = what_lies_there(data[:HEAD_BYTES])
    if data and instead is not None:
        raise ModelError(f"{DESCRIPTION_FILE} is {instead}")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except RecursionError as error:
        raise ModelError(f"{DESCRIPTION_FILE} is nested too deeply") from error
    except ValueError as error:
        raise ModelError(
            f"{DESCRIPTION_FILE} is not JSON: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(value, dict):
        raise ModelError(
            f"{DESCRIPTION_FILE} holds a {type(value).__name__}; allowed: one JSON object"
        )
    return value


def parse_description(raw: JsonObject) -> Description:
    """The checked form of a model.json; unknown keys are ignored, wrong values raise ModelError."""
    if UNREADABLE_DESCRIPTION in raw:
        raise ModelError(str(raw[UNREADABLE_DESCRIPTION]))
    described = raw.get("input")
    if described is not None and not isinstance(described, dict):
        raise _wrong("input", described, "an object")
    return Description(
        name=_text(raw, "name"),
        file=(_text(raw, "file") or "").replace("\\", "/") or None,
        labels=_labels(raw.get("labels")),
        input=_input(described or {}),
        output=cast(OutputKind | None, _choice(raw, "output", get_args(OutputKind))),
        output_name=_text(raw, "output_name"),
    )


def labels_for(
    description: Description, file: Path, outputs: int
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The labels of a model, and notes.

    Args:
        description: Holds the labels, or the name of a file with a list of them in any form that
            `read_name_list` knows.
        file: The weights file; a file of labels must be in its folder.
        outputs: Number of outputs of the model.

    Returns:
        (labels, notes). An output without a name has the label "". Labels are None if there are
        none, or if their number is not `outputs`; a note then says so.

    Raises:
        ModelError: The file of labels is missing, no list of names or outside the model's folder.
    """
    labels = declared_labels(description, file)
    if labels is None:
        return None, ()
    names = labels.for_outputs(outputs)
    if names is None:
        return None, (f"labels left out: {len(labels.names)} labels for {outputs} outputs",)
    return tuple(name or "" for name in names), tuple(f"labels: {note}" for note in labels.notes)


def declared_labels(description: Description, file: Path) -> NameList | None:
    """The labels that a description holds or names; None if it has none.

    Args:
        description: The description.
        file: The weights file; a file of labels must be in its folder.

    Raises:
        ModelError: The file of labels is missing, no list of names or outside the model's folder.
    """
    labels = description.labels
    if isinstance(labels, str):
        return _read_labels(inside(model_folder(description, file), labels, "labels"))
    return NameList(labels, "list") if isinstance(labels, tuple) else labels


def label_lines(data: bytes) -> tuple[str, ...]:
    """One label a line, UTF-8; empty lines at the end do not count."""
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return tuple(clean_text(line) for line in text.rstrip("\n ").split("\n")) if text else ()


def model_folder(description: Description, file: Path) -> Path:
    """The folder that holds the model.json of a weights file (the file may lie deeper)."""
    depth = len(PurePosixPath(description.file).parts) if description.file else 1
    return file.parents[min(depth, len(file.parents)) - 1]


def _input(raw: JsonObject) -> InputDescription:
    if raw.get("resize") == "shortest":  # another name of the same geometry
        raw = {**raw, "resize": "crop"}
    return InputDescription(
        size=_size(raw.get("size")),
        layout=cast(Layout | None, _choice(raw, "layout", get_args(Layout), "input.")),
        channels=cast(Channels | None, _choice(raw, "channels", get_args(Channels), "input.")),
        scale=cast(Scale | None, _choice(raw, "scale", get_args(Scale), "input.")),
        mean=_numbers(raw, "mean"),
        std=_numbers(raw, "std", positive=True),
        resize=cast(
            Resize | None, _choice(raw, "resize", (*get_args(Resize), "shortest"), "input.")
        ),
        crop_fraction=_fraction(raw.get("crop_fraction")),
        dtype=cast(InputDtype | None, _choice(raw, "dtype", get_args(InputDtype), "input.")),
        resample=cast(Resample | None, _choice(raw, "resample", get_args(Resample), "input.")),
    )


def _wrong(key: str, value: JsonValue, allowed: str) -> ModelError:
    preview = ascii(value)
    preview = preview if len(preview) <= 60 else preview[:57] + "..."
    return ModelError(f"{DESCRIPTION_FILE}: {key} is {preview}; allowed: {allowed}")


def _choice(raw: JsonObject, key: str, allowed: tuple[str, ...], within: str = "") -> str | None:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or value not in allowed:
        raise _wrong(within + key, value, ", ".join(allowed))
    return value


def _text(raw: JsonObject, key: str) -> str | None:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not clean_text(value) or len(value) > _MAX_NAME:
        raise _wrong(key, value, f"a text of 1 to {_MAX_NAME} characters")
    return clean_text(value) if key == "name" else value


def _labels(value: JsonValue) -> tuple[str, ...] | NameList | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return tuple(clean_text(str(label)) for label in value)
    if isinstance(value, dict):
        try:
            return parse_name_list(json.dumps(value).encode(), ".json", "labels")
        except UsageError as error:
            raise ModelError(f"{DESCRIPTION_FILE}: {error}") from error
    raise _wrong(
        "labels", value, "a list of texts, texts by number, or the name of a file with such a list"
    )


def _read_labels(file: Path) -> NameList:
    """The list in a file of labels; an ending that says nothing stands for one label a line."""
    source = f"labels file {file.name!r}"
    ending = file.suffix if file.suffix.lower() in LIST_ENDINGS else ".txt"
    try:
        with file.open("rb") as stream:
            return parse_name_list(stream.read(MAX_LIST_BYTES + 1), ending, source)
    except OSError as error:
        raise ModelError(f"{source} cannot be read: {error.strerror}") from error
    except UsageError as error:
        raise ModelError(str(error)) from error


def _is_number(value: JsonValue) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e9  # also false for NaN; a whole number may be too long for a float


def _size(value: JsonValue) -> tuple[int, int] | None:
    if value is None:
        return None
    edges = value if isinstance(value, list) else [value, value]
    whole = [edge for edge in edges if isinstance(edge, int) and not isinstance(edge, bool)]
    if len(edges) != 2 or len(whole) != 2 or not all(1 <= edge <= MAX_EDGE for edge in whole):
        raise _wrong("input.size", value, f"[height, width] or one edge, each 1 to {MAX_EDGE}")
    return whole[0], whole[1]


def _numbers(raw: JsonObject, key: str, positive: bool = False) -> tuple[float, ...]:
    value = raw.get(key)
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    numbers = [float(cast(float, number)) for number in values if _is_number(number)]
    if len(numbers) != len(values) or len(values) not in (1, 3):
        raise _wrong(f"input.{key}", value, "1 or 3 finite numbers")
    if positive and min(numbers) <= 0:
        raise _wrong(f"input.{key}", value, "numbers above 0")
    return tuple(numbers)


def _fraction(value: JsonValue) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0.05 <= cast(float, value) <= 1:
        raise _wrong("input.crop_fraction", value, "a number from 0.05 to 1")
    return float(cast(float, value))
