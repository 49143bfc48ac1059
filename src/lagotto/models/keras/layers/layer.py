"""A call of a layer comes in; its settings, weights and inputs go out, each checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonValue
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.files.tensors import shape_text
from lagotto.models.keras.call_arguments import Argument, Call, TensorReference
from lagotto.models.keras.configuration import LayerConfig
from lagotto.models.keras.graph import Graph, Tensor
from lagotto.models.keras.layers.settings import LayerSettings

_READABLE = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "uint8", "uint16")

Results: TypeAlias = "Tensor | tuple[Tensor, ...]"


@dataclass(frozen=True, slots=True)
class Variables:
    """The names of a layer's weights in the order in which Keras keeps them.

    `fixed` are those that training does not change by gradients, such as moving averages.
    """

    trained: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them; the fixed ones are last."""
        return (*self.trained, *self.fixed)


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a layer.

    `inputs` are the tensors of its first argument. `call` has all arguments, with the tensors of
    other layers by what they refer to (`tensors`). `parameters` are the names of its arguments by
    position, other spellings of one after a "|".
    """

    config: LayerConfig
    settings: LayerSettings
    graph: Graph
    inputs: tuple[Tensor, ...]
    call: Call
    tensors: Mapping[TensorReference, Tensor]
    parameters: tuple[str, ...] = ()
    stored: Mapping[str, StoredTensor] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the layer, for the tensors that it computes."""
        return self.config.name

    @property
    def input(self) -> Tensor:
        """The input of a layer that has one."""
        if len(self.inputs) != 1:
            self.refuse(f"is called with {len(self.inputs)} tensors; allowed: one")
        return self.inputs[0]

    def refuse(self, why: str) -> NoReturn:
        """Raises ModelError: the layer, and why it cannot be translated."""
        raise ModelError(f"{self.config.text} {why}")

    def ranked(self, *ranks: int) -> Tensor:
        """The input, which must have one of some numbers of axes."""
        tensor = self.input
        if tensor.rank not in ranks:
            wanted = " or ".join(map(str, ranks))
            self.refuse(f"is given {shape_text(tensor.shape)}; it takes {wanted} axes")
        return tensor

    def known(self, size: int | None, what: str) -> int:
        """A size that must be known to translate the layer."""
        if size is None:
            self.refuse(f"needs a fixed {what}; save the model with a fixed input size")
        return size

    def argument(self, name: str) -> Argument:
        """An argument of the call, or the setting that stands for it; None if there is none."""
        for position, spelled in enumerate(self.parameters):
            spellings = spelled.split("|")
            if name not in spellings:
                continue
            if position < len(self.call.positional):
                return self.call.positional[position]
            for spelling in spellings:
                if spelling in self.call.named:
                    return self.call.named[spelling]
            values = [self.settings.raw(spelling) for spelling in spellings]
            return next((value for value in values if value is not None), None)
        raise KeyError(f"{self.config.kind}: {name} is not in the table of layers")

    def weight(self, name: str, shape: tuple[int | None, ...]) -> Float32[np.ndarray, "..."]:
        """A weight as float32.

        Args:
            name: Its name in the layer: "kernel", "bias", ...
            shape: The shape that it must have by the settings and the input; None for any size.

        Raises:
            ModelError: It is missing, of another shape or of a type that weights do not have.
        """
        stored = self.stored.get(name)
        if stored is None:
            self.refuse(f"has no weight {name!r} in the file")
        fits = len(stored.shape) == len(shape) and all(
            wanted in (None, size) for size, wanted in zip(stored.shape, shape, strict=True)
        )
        if not fits:
            self.refuse(
                f"has the weight {name!r} of shape {shape_text(stored.shape)}; by its settings and "
                f"its input it must be {shape_text(shape)}"
            )
        if stored.dtype not in _READABLE:
            self.refuse(f"has the weight {name!r} as {stored.dtype}; allowed: numbers")
        return stored.read().astype(np.float32, copy=False)


def no_variables(config: LayerConfig) -> Variables:
    """The variables of a layer without any."""
    return Variables()


@dataclass(frozen=True, slots=True)
class LayerKind:
    """An entry of the table of layers.

    Args:
        write: Adds the operators of one call to a graph; the result, or several.
        keys: The settings that are translated.
        ignored: Settings without effect on what a trained model computes, whatever their value.
        arguments: Call arguments that are translated, by position; see `Layer.parameters`.
        variables: Tells which weights a layer has.
        note: For the documentation: what is not translated, "" if all is.
    """

    write: Callable[[Layer], Results]
    keys: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    variables: Callable[[LayerConfig], Variables] = no_variables
    note: str = ""


def is_neutral(value: JsonValue) -> bool:
    """Whether a setting that is not known says nothing: null, false, or an empty list or text."""
    return value is None or value is False or value in ([], {}, "")
