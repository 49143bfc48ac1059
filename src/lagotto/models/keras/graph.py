"""Operators, constants and weights come in one by one; the bytes of an ONNX model go out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Shaped
from onnx import TensorProto, helper, numpy_helper

from lagotto.core.errors import ModelError
from lagotto.core.parsing.onnx_survey import MAX_NODES
from lagotto.models.assembled import EXTERNAL_LOCATION
from lagotto.models.keras.pixel_range import Affine

OPSET = 17
_IR_VERSION = 8
_INLINE_BYTES = 1024
"""Larger constants are external initializers; smaller ones stay where onnxruntime can fold them."""

_LONGEST_NAME = 120
_ODD = re.compile(r"[^\w./:-]+")
_DTYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int32": TensorProto.INT32}

TensorShape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value inside the network.

    `shape` is what Keras sees, the batch first; None is an open size. If `is_moved`, the channels,
    which Keras has last, lie at the second axis in the graph, as convolutions of ONNX want them.
    """

    name: str
    shape: TensorShape
    is_moved: bool = False

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)


@dataclass(slots=True)
class Graph:
    """An ONNX graph that is being written.

    `pixels` has the tensors that are the input, scaled and shifted alone, with how; `seen` is how
    the rest of the network sees it. `notes` is what a user should know.
    """

    nodes: list[Any] = field(default_factory=list)
    inline: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)
    pixels: dict[str, Affine] = field(default_factory=dict)
    seen: list[Affine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _names: dict[str, int] = field(default_factory=dict)
    _copies: dict[tuple[str, bool], str] = field(default_factory=dict)

    def unique(self, hint: str) -> str:
        """A name for a tensor that no other one has."""
        stem = _ODD.sub("_", hint)[:_LONGEST_NAME] or "tensor"
        number = self._names.get(stem, 0)
        self._names[stem] = number + 1
        return f"{stem}~{number}" if number else stem

    def constant(self, value: Shaped[np.ndarray, "..."], hint: str) -> str:
        """The name of a constant; a large one is an external initializer."""
        name = self.unique(hint)
        if value.nbytes <= _INLINE_BYTES:
            self.inline[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        else:
            self.weights[name] = value
        return name

    def number(self, value: float) -> str:
        """The name of a constant single number."""
        return self.constant(np.asarray(value, np.float32), "number")

    def integers(self, values: Sequence[int]) -> str:
        """The name of a constant list of whole numbers: a shape, axes, pads."""
        return self.constant(np.asarray(values, np.int64), "integers")

    def floats(self, values: Sequence[float]) -> str:
        """The name of a constant list of numbers."""
        return self.constant(np.asarray(values, np.float32), "floats")

    def operator(
        self, op: str, inputs: Sequence[str], hint: str, outputs: int = 1, **attributes: Any
    ) -> tuple[str, ...]:
        """Adds an operator; the names of its outputs. Raises ModelError for too many of them."""
        if len(self.nodes) >= MAX_NODES:
            raise ModelError(f"the network has over {MAX_NODES:,} operators; it is no classifier")
        names = tuple(self.unique(hint) for _ in range(outputs))
        self.nodes.append(helper.make_node(op, list(inputs), list(names), **attributes))
        return names

    def apply(
        self,
        op: str,
        inputs: Sequence[Tensor | str],
        shape: TensorShape,
        hint: str,
        **attributes: Any,
    ) -> Tensor:
        """Adds an operator on values that lie as Keras has them; its only output."""
        names = [self.plain(item) if isinstance(item, Tensor) else item for item in inputs]
        for item in inputs:
            if isinstance(item, Tensor):
                self.see(item)
        return Tensor(self.operator(op, names, hint, **attributes)[0], shape)

    def each(self, op: str, tensor: Tensor, hint: str, *more: str, **attributes: Any) -> Tensor:
        """Adds an operator that changes each number for itself, wherever it lies."""
        self.see(tensor)
        (name,) = self.operator(op, (tensor.name, *more), hint, **attributes)
        return Tensor(name, tensor.shape, tensor.is_moved)

    def plain(self, tensor: Tensor) -> str:
        """The name of the tensor with its axes as Keras has them."""
        if not tensor.is_moved:
            return tensor.name
        return self._transposed(tensor, (0, *range(2, tensor.rank), 1), False)

    def moved(self, tensor: Tensor) -> str:
        """The name of the tensor with its last axis at the second place."""
        if tensor.is_moved or tensor.rank < 3:
            return tensor.name
        return self._transposed(tensor, (0, tensor.rank - 1, *range(1, tensor.rank - 1)), True)

    def _transposed(self, tensor: Tensor, order: tuple[int, ...], is_moved: bool) -> str:
        key = (tensor.name, is_moved)
        if key not in self._copies:
            (name,) = self.operator("Transpose", (tensor.name,), tensor.name, perm=list(order))
            self._copies[key] = name
            self._copies[(name, not is_moved)] = tensor.name
        return self._copies[key]

    def see(self, tensor: Tensor) -> None:
        """Notes that the network uses a tensor; of the input, how it is scaled by then."""
        if tensor.name in self.pixels:
            self.seen.append(self.pixels[tensor.name])

    def hand_on(self, tensors: Sequence[Tensor], name: str) -> None:
        """Notes that `name` has the values of some tensors in other places.

        If they are the input, all scaled alike in all channels, so is the result.
        """
        known = [self.pixels.get(tensor.name) for tensor in tensors]
        first = known[0] if known else None
        alike = [
            item is not None and item.is_even and first is not None and item.equals(first)
            for item in known
        ]
        if first is not None and all(alike):
            self.pixels[name] = first
            return
        for tensor in tensors:
            self.see(tensor)

    def serialized(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> bytes:
        """The bytes of the model; its values with external data are in `weights`."""
        external = [_declared(name, value) for name, value in self.weights.items()]
        tensors = [*self.inline.values(), *external]
        graph = helper.make_graph(self.nodes, "keras", inputs, outputs, tensors)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        data: bytes = model.SerializeToString()
        return data


def value_info(name: str, shape: TensorShape, dtype: str = "float32") -> Any:
    """The declaration of an input or output; open sizes have names of their own."""
    sizes = [f"{name}_{axis}" if size is None else size for axis, size in enumerate(shape)]
    return helper.make_tensor_value_info(name, _DTYPES[dtype], sizes)


def _declared(name: str, value: Shaped[np.ndarray, "..."]) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=value.shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=EXTERNAL_LOCATION)
    return tensor
