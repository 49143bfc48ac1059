"""The bytes of an ONNX file come in; the files and operators that it names go out.

The survey is made before anything loads the file. It reads the wire format in place and follows
every path on which onnxruntime would find a tensor: nested graphs, functions, sparse tensors. So a
file cannot hide the name of another file, and a file whose graph would become far larger when its
functions are written out is refused first.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from lagotto.core.errors import LagottoError
from lagotto.core.parsing.protobuf import (
    LENGTH,
    VARINT,
    Buffer,
    Span,
    WireReader,
)

MAX_NODES = 30_000
"""Most operators of a model, with every function written out where it is called."""
MAX_CONSTANT_ELEMENTS = 2**31
"""Most elements of one declared tensor; larger ones do not fit the memory of a worker."""
MAX_RANK = 64
MEMORY_MARK = "_MEM_ADDR_"
"""Prefix of a file name of external data that onnxruntime takes for an address in its memory."""
MAX_DEPTH = 32
"""Most levels of graphs inside graphs, or of functions that call functions."""

_BUILT_IN = ("", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")
_OTHER_FILES = frozenset({("com.microsoft", "EPContext")})  # holds or names a compiled binary

# Field numbers of onnx.proto that lead from a message to the messages inside it.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "value": {2: "type"},
    "type": {1: "tensor type", 8: "tensor type"},
    "tensor type": {2: "shape"},
}
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_EXTERNAL = 1, 2, 13
_ELEMENT_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element by its type; the types that are not in this table are packed."""
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_LONGEST_NUMBER = 20
_NODE_OPERATOR, _NODE_DOMAIN = 4, 7
_FUNCTION_NAME, _FUNCTION_DOMAIN = 1, 10

Operator: TypeAlias = tuple[str, ...]
"""(domain, name)."""

_MAIN: Operator = ("", "", "the main graph")  # of a length that no operator of a file has


@dataclass(frozen=True, slots=True)
class OnnxSurvey:
    """What a file names: `external` files, and `operators` as (domain, name).

    `nodes` is the number of operators with every function written out. Functions that the file
    defines are not in `operators`. `external_bytes` has the size that each external file must have
    at least. `backslashes` are the spans of names of external files that have backslashes.
    """

    external: frozenset[str]
    operators: frozenset[Operator]
    nodes: int
    external_bytes: Mapping[str, int] = field(default_factory=dict)
    backslashes: tuple[Span, ...] = ()


@dataclass(slots=True)
class _Walk:
    """The state of a survey. `calls` has the operators of each function and their counts."""

    reader: WireReader
    calls: dict[Operator, Counter[Operator]] = field(default_factory=lambda: {_MAIN: Counter()})
    external: dict[str, int] = field(default_factory=dict)
    backslashes: list[Span] = field(default_factory=list)
    nodes: int = 0

    def count(self, node: Span, inside: Operator) -> None:
        """Counts a node in the function that it is in."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.reader.error(f"it has over {MAX_NODES:,} operators; it is not a classifier")
        self.calls[inside][_operator(self.reader, node, _NODE_DOMAIN, _NODE_OPERATOR)] += 1


def survey_onnx(data: Buffer, error: type[LagottoError]) -> OnnxSurvey:
    """Surveys the bytes of an ONNX file.

    Args:
        data: The file.
        error: The class of the error to raise.

    Raises:
        error: The bytes are no ONNX, or the file has what no classifier or encoder needs: tensors
            of more than MAX_CONSTANT_ELEMENTS elements or MAX_RANK axes, more than MAX_NODES
            operators, graphs or functions nested deeper than MAX_DEPTH, or functions that call
            themselves.
    """
    walk = _Walk(WireReader(data, error))
    pending: list[tuple[str, Span, int, Operator]] = [("model", (0, len(data)), 0, _MAIN)]
    while pending:
        message, span, depth, inside = pending.pop()
        if message == "graph" and depth > MAX_DEPTH:
            raise error(f"its graphs are nested more than {MAX_DEPTH} deep; it is not a model")
        if message == "tensor":
            _look_at_tensor(walk, span)
            continue
        if message == "shape":
            _check_sizes(walk, _shape(walk.reader, span))
            continue
        if message == "function":
            inside = _operator(walk.reader, span, _FUNCTION_DOMAIN, _FUNCTION_NAME)
            walk.calls.setdefault(inside, Counter())
        elif message == "node":
            walk.count(span, inside)
        children = _CHILDREN[message]
        for number, wire, start, end in walk.reader.fields(span):
            if wire == LENGTH and number in children:
                deeper = depth + (children[number] == "graph")
                pending.append((children[number], (start, end), deeper, inside))
    nodes = _written_out(walk.calls, _MAIN, error, {}, ())
    if nodes > MAX_NODES:
        raise error(
            f"it has {nodes:,} operators once its functions are written out; "
            f"at most {MAX_NODES:,} are loaded"
        )
    operators = {operator for calls in walk.calls.values() for operator in calls}
    return OnnxSurvey(
        external=frozenset(walk.external),
        operators=frozenset(operators - walk.calls.keys()),
        nodes=nodes,
        external_bytes=walk.external,
        backslashes=tuple(walk.backslashes),
    )


def check_operators(survey: OnnxSurvey, error: type[LagottoError]) -> None:
    """Raises `error` for an operator of another library, or one that loads a compiled binary."""
    for domain, name in sorted(survey.operators):
        if domain not in _BUILT_IN or (domain, name) in _OTHER_FILES:
            raise error(
                f"it needs the operator {name[:80]!r} of {domain[:80]!r}, which is not built in; "
                "export it with standard operators only (no custom ones, no compiled parts)"
            )


def _operator(reader: WireReader, span: Span, domain_field: int, name_field: int) -> Operator:
    domain = name = ""
    for number, wire, start, end in reader.fields(span):
        if wire == LENGTH and number == domain_field:
            domain = reader.text((start, end))
        elif wire == LENGTH and number == name_field:
            name = reader.text((start, end))
    return ("" if domain == "ai.onnx" else domain), name


def _look_at_tensor(walk: _Walk, span: Span) -> None:
    sizes: list[int] = []
    kind = 0
    entries: list[tuple[str, Span]] = []
    for number, wire, start, end in walk.reader.fields(span):
        if number == _TENSOR_DIMS:
            packed = walk.reader.varints((start, end)) if wire == LENGTH else iter([start])
            sizes += islice(packed, MAX_RANK + 1)
        elif number == _TENSOR_TYPE and wire == VARINT:
            kind = start
        elif number == _TENSOR_EXTERNAL and wire == LENGTH:
            entries += _external_entries(walk.reader, (start, end))
    _check_sizes(walk, sizes)
    if entries:
        _note_external(walk, entries, math.prod(sizes) * _ELEMENT_BYTES.get(kind, 0))


def _external_entries(reader: WireReader, entry: Span) -> list[tuple[str, Span]]:
    """(key, span of the value) of an entry of external data.

    If a key or value is repeated, protobuf takes the last one, but readers differ; all are taken.
    """
    keys: list[str] = []
    values: list[Span] = []
    for number, wire, start, end in reader.fields(entry):
        if wire == LENGTH and number == _ENTRY_KEY:
            keys.append(reader.text((start, end)))
        elif wire == LENGTH and number == _ENTRY_VALUE:
            values.append((start, end))
    return [(key, value) for key in keys for value in values]


def _note_external(walk: _Walk, entries: list[tuple[str, Span]], tensor_bytes: int) -> None:
    """Adds the files that a tensor names, and the size that it needs of them."""
    numbers = {"offset": 0, "length": tensor_bytes}
    for key, span in entries:
        text = walk.reader.text(span) if span[1] - span[0] < _LONGEST_NUMBER else ""
        if key in numbers and text.isdecimal():
            numbers[key] = int(text)
    for key, span in entries:
        if key == "location":
            name = walk.reader.text(span)
            needed = numbers["offset"] + numbers["length"]
            walk.external[name] = max(needed, walk.external.get(name, 0))
            if "\\" in name:
                walk.backslashes.append(span)


def _shape(reader: WireReader, span: Span) -> Iterator[int]:
    """The fixed sizes of a declared shape (TensorShapeProto: dim = 1; its dim_value = 1)."""
    for number, wire, start, end in reader.fields(span):
        if number == 1 and wire == LENGTH:
            for inner, kind, value, _ in reader.fields((start, end)):
                if inner == 1 and kind == VARINT:
                    yield value


def _check_sizes(walk: _Walk, sizes: "Iterator[int] | list[int]") -> None:
    """Raises an error for a tensor that is too large; sizes of 0 and below are not fixed."""
    fixed = [size for size in sizes if 0 < size < 2**63]
    if len(fixed) > MAX_RANK:
        raise walk.reader.error(f"it declares a tensor of over {MAX_RANK} axes; it is not a model")
    if math.prod(fixed) > MAX_CONSTANT_ELEMENTS:
        preview = ", ".join(map(str, fixed[:8])) + (", ..." if len(fixed) > 8 else "")
        raise walk.reader.error(
            f"it declares a tensor of [{preview}]; at most "
            f"{MAX_CONSTANT_ELEMENTS:,} elements are loaded"
        )


def _written_out(
    calls: dict[Operator, Counter[Operator]],
    function: Operator,
    error: type[LagottoError],
    known: dict[Operator, int],
    within: tuple[Operator, ...],
) -> int:
    """The number of operators of a function, with the functions that it calls written out."""
    if function in within or len(within) > MAX_DEPTH:
        raise error(f"its functions call each other more than {MAX_DEPTH} deep, or for ever")
    if function not in known:
        inner = (*within, function)
        known[function] = sum(
            times * (_written_out(calls, name, error, known, inner) if name in calls else 1)
            for name, times in calls[function].items()
        )
    return known[function]
