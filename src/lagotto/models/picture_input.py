"""The inputs that a file declares come in; the picture's, and fixed values for the rest, go out.

Most files have one input of four axes. Some lack the axis of pictures, or that of a single channel;
some have switches of training beside it, which are set to what running a trained model needs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Num, Shaped

from lagotto.core.errors import ModelError
from lagotto.models.files.activation import Node
from lagotto.models.files.tensors import shape_text

_OFF = re.compile(r"train|learning_?phase|phase|drop_?out|drop_?(?:prob|rate|ratio)")
_ON = re.compile(r"keep_?(?:prob|rate|ratio)?\b|keepprob|infer|is_?test|is_?eval")
_SWITCH_DTYPES = ("bool", "float16", "float32", "float64", "int32", "int64", "uint8", "int8")
_DROPOUT_RATIO, _DROPOUT_TRAINING, _NORMALIZATION_TRAINING = 1, 2, 5


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """An input as declared. `dtype` is a numpy name, or the framework's own."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def text(self) -> str:
        """The input for a message: 'mask' float32 [?, 7]."""
        return f"{self.name[:80]!r} {self.dtype} {shape_text(self.shape)}"


@dataclass(frozen=True, slots=True)
class PictureInput:
    """The input of the picture with its four axes, and values for all other inputs.

    `lacking` are those of the four axes that the declared input does not have; their length is 1.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    lacking: tuple[int, ...] = ()
    fixed: Mapping[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def fold(self, tensor: Num[np.ndarray, "batch a b c"]) -> Num[np.ndarray, "..."]:
        """The tensor without the axes that the declared input lacks."""
        return tensor.squeeze(self.lacking) if self.lacking else tensor

    def feed(self, tensor: Num[np.ndarray, "batch a b c"]) -> dict[str, np.ndarray]:
        """A value for each declared input."""
        return {self.name: self.fold(tensor), **self.fixed}


def find_picture_input(
    inputs: Sequence[DeclaredInput], producers: Mapping[str, Node], used: frozenset[str]
) -> PictureInput:
    """The input that takes the picture.

    Args:
        inputs: All inputs of the file, without constants.
        producers: Maps each tensor to the operator that computes it.
        used: The tensors that the output is computed from.

    Returns:
        The input, with a value for each other input: one that the output does not depend on, or a
        single number whose name or place in the graph says that it is a switch of training.

    Raises:
        ModelError: No input or several can be the picture, or the value of another is not known.
    """
    pictures = [item for item in inputs if len(inputs) == 1 or len(item.shape) >= 3]
    if len(pictures) != 1:
        raise _not_one_picture(inputs)
    picture = pictures[0]
    fixed: dict[str, np.ndarray] = {}
    notes = []
    for item in inputs:
        if item is picture:
            continue
        value = 0 if item.name not in used else _switch_value(item, producers)
        single = all(size in (None, 1) for size in item.shape)
        if value is None or not single or item.dtype not in _SWITCH_DTYPES:
            raise _not_one_picture(inputs)
        fixed[item.name] = np.full([1] * len(item.shape), value, item.dtype)
        why = "a switch of training" if item.name in used else "the scores do not depend on it"
        notes.append(f"input {item.name[:80]!r} is set to {value} ({why})")
    shape, lacking = _four_axes(picture.shape)
    if 0 in lacking:
        notes.append(f"the input {shape_text(picture.shape)} has no axis of pictures: one a run")
    return PictureInput(picture.name, picture.dtype, shape, lacking, fixed, tuple(notes))


def _switch_value(item: DeclaredInput, producers: Mapping[str, Node]) -> int | None:
    """The value of a switch when a trained model is run; None if the input is no such switch."""
    name = item.name.lower()
    if _ON.search(name):
        return 1
    if _OFF.search(name):
        return 0
    places = {
        (node.op, position)
        for node in producers.values()
        for position, source in enumerate(node.inputs)
        if source == item.name
    }
    switches = {
        ("Dropout", _DROPOUT_RATIO),
        ("Dropout", _DROPOUT_TRAINING),
        ("BatchNormalization", _NORMALIZATION_TRAINING),
    }
    return 0 if places and places <= switches else None


def _four_axes(shape: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], tuple[int, ...]]:
    """The shape with its missing axes, and the positions of these; other shapes stay."""
    if len(shape) != 3:
        return shape, ()
    if shape[2] in (1, 3) or shape[0] in (1, 3):  # one picture, its channels last or first
        return (1, *shape), (0,)
    if shape[0] is None and None not in shape[1:]:  # grey pictures without an axis of channels
        return (*shape, 1), (3,)
    return shape, ()


def _not_one_picture(inputs: Sequence[DeclaredInput]) -> ModelError:
    listed = ", ".join(item.text for item in inputs[:8]) or "none"
    return ModelError(
        f"the model has {len(inputs)} inputs ({listed}); allowed: one, the picture, and single "
        "numbers that switch training off: export it with the picture as its only input"
    )
