"""Detectors and segmenters of colours written as ONNX files, and what they must answer in numpy.

A cell of a grid knows how near its mean colour is to each class. Grids of pitch 8, 16 and 32 make
21 cells of a picture of 32 x 32, as the detectors of the YOLO family have them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from colour_world import COLOURS

EDGE, CELLS, GAIN = 32, 21, 10.0
PITCHES = (8, 16, 32)
SAID = {"scale": "0..1", "channels": "RGB"}


def cell_means(pixels: np.ndarray) -> np.ndarray:
    """[pictures, 21, 3] mean colours, the finest grid first."""
    real = pixels.astype(np.float64) / 255
    grids = []
    for pitch in PITCHES:
        count = EDGE // pitch
        cells = real.reshape(len(real), count, pitch, count, pitch, 3).mean(axis=(2, 4))
        grids.append(cells.reshape(len(real), -1, 3))
    return np.concatenate(grids, axis=1)


def cell_logits(pixels: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """[pictures, 21, classes]: 2 - gain * squared distance of the mean colour of a cell."""
    wanted = np.array([COLOURS[colour] for colour in colours])
    means = cell_means(pixels)[:, :, None]
    return 2 - GAIN * np.square(means - wanted).sum(axis=3)


def objectness(pixels: np.ndarray) -> np.ndarray:
    """[pictures, 21] logits: three times the red of a cell, minus one."""
    return 3 * cell_means(pixels)[..., 0] - 1


@dataclass
class Graph:
    """Collects operators up to "logits" [1, classes, 21], and goes on from there."""

    colours: tuple[str, ...]
    nodes: list[Any] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        wanted = np.array([COLOURS[colour] for colour in self.colours], np.float32)
        squares = np.full_like(wanted, -GAIN)
        kernel = np.concatenate([2 * GAIN * wanted, squares], axis=1)[..., None, None]
        self.arrays |= {
            "kernel": kernel,
            "bias": (2 - GAIN * np.square(wanted).sum(axis=1)).astype(np.float32),
            "red": np.array([3, 0, 0], np.float32).reshape(1, 3, 1, 1),
            "minus_one": np.array([-1], np.float32),
            "flat": np.array([1, len(wanted), -1]),
            "flat_one": np.array([1, 1, -1]),
        }
        for pitch in PITCHES:
            size = [pitch, pitch]
            self.add("AveragePool", ["picture"], f"mean{pitch}", kernel_shape=size, strides=size)
            self.add("Mul", [f"mean{pitch}", f"mean{pitch}"], f"square{pitch}")
            self.add("Concat", [f"mean{pitch}", f"square{pitch}"], f"both{pitch}", axis=1)
            self.add("Conv", [f"both{pitch}", "kernel", "bias"], f"map{pitch}")
            self.add("Reshape", [f"map{pitch}", "flat"], f"part{pitch}")
            self.add("Conv", [f"mean{pitch}", "red", "minus_one"], f"there{pitch}")
            self.add("Reshape", [f"there{pitch}", "flat_one"], f"object{pitch}")
        self.add("Concat", [f"part{pitch}" for pitch in PITCHES], "logits", axis=2)
        self.add("Concat", [f"object{pitch}" for pitch in PITCHES], "object", axis=2)

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: Any) -> str:
        self.arrays[name] = np.asarray(values)
        return name

    def boxes(self, *shape: int, name: str = "corners") -> str:
        """Corners that depend on nothing, in pixels."""
        values = np.random.default_rng(0).uniform(1.5, EDGE, shape).astype(np.float32)
        return self.constant(name, values)

    def rows(self, source: str, name: str = "") -> str:
        """[1, numbers, cells] as [1, cells, numbers]."""
        return self.add("Transpose", [source], name or f"{source}_rows", perm=[0, 2, 1])

    def publish(self, name: str, *shape: Any, dtype: int = TensorProto.FLOAT) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))

    def pack(self, properties: Mapping[str, str] | None = None, edge: Any = EDGE) -> bytes:
        made = helper.make_graph(
            self.nodes,
            "detector",
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, edge, edge])],
            self.outputs,
            [numpy_helper.from_array(array, name) for name, array in self.arrays.items()],
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(made, opset_imports=opsets, ir_version=8)
        for key, text in (properties or {}).items():
            model.metadata_props.add(key=key, value=text)
        data: bytes = model.SerializeToString()
        return data


def yolo8(graph: Graph, extra: int = 0) -> None:
    """[1, 4 + classes, cells]; `extra` signed numbers a box lie after the classes."""
    parts = [graph.boxes(1, 4, CELLS), graph.add("Sigmoid", ["logits"], "scores")]
    if extra:
        values = np.random.default_rng(1).normal(0, 2, (1, extra, CELLS)).astype(np.float32)
        parts.append(graph.constant("more", values))
    graph.publish(graph.add("Concat", parts, "output0", axis=1), *(None,) * 3)


def yolo8_rows(graph: Graph) -> None:
    """The same, one box a row."""
    parts = [graph.boxes(1, 4, CELLS), graph.add("Sigmoid", ["logits"], "scores")]
    joined = graph.add("Concat", parts, "joined", axis=1)
    graph.publish(graph.rows(joined, "output0"), 1, CELLS, 4 + len(graph.colours))


def yolo5(graph: Graph, anchors: int = 3, is_sigmoid: bool = True) -> None:
    """[1, 3 x cells, 5 + classes] with the objectness after the box; one anchor is YOLOX."""
    parts = [graph.boxes(1, 4, CELLS)]
    for name in ("object", "logits"):
        parts.append(graph.add("Sigmoid", [name], f"p_{name}") if is_sigmoid else name)
    rows = graph.rows(graph.add("Concat", parts, "joined", axis=1))
    last = graph.add("Concat", [rows] * anchors, "output", axis=1)
    graph.publish(last, 1, anchors * CELLS, 5 + len(graph.colours))


def detr(graph: Graph) -> None:
    """Logits with "no object" last, and boxes beside them."""
    nothing = graph.constant("nothing", np.full((1, 1, CELLS), 3, np.float32))
    graph.rows(graph.add("Concat", ["logits", nothing], "with_nothing", axis=1), "logits_out")
    graph.nodes.append(helper.make_node("Identity", [graph.boxes(1, CELLS, 4)], ["pred_boxes"]))
    graph.publish("logits_out", 1, CELLS, len(graph.colours) + 1)
    graph.publish("pred_boxes", 1, CELLS, 4)


def ssd(graph: Graph) -> None:
    """Raw heads: boxes, and a softmax over the background, which is first, and the classes."""
    background = graph.constant("background", np.full((1, 1, CELLS), 3, np.float32))
    graph.rows(graph.add("Concat", [background, "logits"], "with_background", axis=1), "raw")
    graph.add("Softmax", ["raw"], "scores", axis=2)
    graph.nodes.append(helper.make_node("Identity", [graph.boxes(1, CELLS, 4)], ["boxes"]))
    graph.publish("boxes", 1, CELLS, 4)
    graph.publish("scores", 1, CELLS, len(graph.colours) + 1)


def ssd_moved(graph: Graph) -> None:
    """The same, whose classes are moved behind the boxes after their sigmoid."""
    graph.add("Sigmoid", ["logits"], "by_class")
    graph.nodes.append(helper.make_node("Identity", [graph.boxes(1, CELLS, 4)], ["boxes"]))
    graph.publish("boxes", 1, CELLS, 4)
    graph.publish(graph.rows("by_class", "scores"), 1, CELLS, len(graph.colours))


def ssd_reshaped(graph: Graph) -> None:
    """The same, whose boxes get an axis of their own after their sigmoid."""
    width = CELLS * len(graph.colours)
    graph.constant("flat_shape", np.array([1, width]))
    graph.constant("rows_shape", np.array([1, CELLS, len(graph.colours)]))
    graph.add("Reshape", [graph.rows("logits", "raw_rows"), "flat_shape"], "flat_logits")
    graph.add("Sigmoid", ["flat_logits"], "flat_scores")
    graph.nodes.append(helper.make_node("Identity", [graph.boxes(1, CELLS, 4)], ["boxes"]))
    graph.publish("boxes", 1, CELLS, 4)
    scores = graph.add("Reshape", ["flat_scores", "rows_shape"], "scores")
    graph.publish(scores, 1, CELLS, len(graph.colours))


def retina(graph: Graph) -> None:
    """A sigmoid of each class for each box, alone."""
    graph.publish(graph.add("Sigmoid", [graph.rows("logits")], "cls"), 1, CELLS, len(graph.colours))


def nanodet(graph: Graph) -> None:
    """The classes, then 32 numbers of distances."""
    parts = [graph.add("Sigmoid", ["logits"], "scores"), graph.boxes(1, 32, CELLS)]
    rows = graph.rows(graph.add("Concat", parts, "joined", axis=1), "output")
    graph.publish(rows, 1, CELLS, len(graph.colours) + 32)


def selected(graph: Graph) -> None:
    """The boxes that non-maximum suppression keeps, by their indices."""
    graph.add("Sigmoid", ["logits"], "scores")
    graph.constant("most", np.array([3], np.int64))
    graph.constant("overlap", np.array([0.5], np.float32))
    boxes = graph.boxes(1, CELLS, 4)
    graph.add("NonMaxSuppression", [boxes, "scores", "most", "overlap"], "kept")
    graph.publish("kept", None, 3, dtype=TensorProto.INT64)


def kept(
    graph: Graph,
    first: int = 1,
    names: Sequence[str] = ("detection_boxes", "detection_scores", "detection_classes"),
) -> None:
    """A box of each cell with its best class and the score of that, counted from `first`."""
    graph.add("Sigmoid", ["logits"], "p")
    graph.add("ReduceMax", ["p"], names[1], axes=[1], keepdims=0)
    graph.add("ArgMax", ["p"], "best", axis=1, keepdims=0)
    graph.add("Add", ["best", graph.constant("first", np.array(first))], names[2])
    graph.add("Identity", [graph.boxes(1, CELLS, 4)], names[0])
    graph.publish(names[0], 1, CELLS, 4)
    graph.publish(names[1], 1, CELLS)
    graph.publish(names[2], 1, CELLS, dtype=TensorProto.INT64)


def kept_logits(pixels: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """What `kept` tells of each class: the best of its own boxes, or a probability of 0.01."""
    scores = 1 / (1 + np.exp(-cell_logits(pixels, colours)))
    own = np.where(scores == scores.max(axis=2, keepdims=True), scores, 0).max(axis=1)
    highest: np.ndarray = np.maximum(own, 0.01)
    return np.log(highest) - np.log(1 - highest)


def selected_by_topk(graph: Graph) -> None:
    """The ten best scores by TopK, with boxes beside them."""
    graph.add("Sigmoid", ["logits"], "p")
    graph.add("Reshape", ["p", graph.constant("row", np.array([1, -1]))], "all_scores")
    most = graph.constant("most", np.array([10]))
    graph.nodes.append(helper.make_node("TopK", ["all_scores", most], ["scores", "indices"]))
    graph.add("Identity", [graph.boxes(1, 10, 4)], "boxes")
    graph.publish("boxes", 1, 10, 4)
    graph.publish("scores", 1, 10)


def end_to_end(graph: Graph) -> None:
    """[1, 300, 6]: corners, score, class."""
    graph.add("Identity", [graph.boxes(1, 300, 6)], "output0")
    graph.publish("output0", 1, 300, 6)


def segmenter(graph: Graph) -> None:
    """[1, classes, 4, 4] logits of the finest grid."""
    graph.publish("map8", 1, len(graph.colours), 4, 4)


def segmenter_last(graph: Graph) -> None:
    """[1, 8, 8, classes + 1] probabilities, with a background first."""
    background = graph.constant("background", np.full((1, 1, 4, 4), 3, np.float32))
    graph.add("Concat", [background, "map8"], "with_background", axis=1)
    graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    graph.add("Resize", ["with_background", "", "twice"], "large", mode="nearest")
    graph.add("Transpose", ["large"], "last", perm=[0, 2, 3, 1])
    graph.publish(graph.add("Softmax", ["last"], "p", axis=3), 1, 8, 8, len(graph.colours) + 1)


def winners(graph: Graph) -> None:
    """[1, 4, 4] the class of each pixel."""
    graph.add("ArgMax", ["map8"], "classes", axis=1, keepdims=0)
    graph.publish("classes", 1, 4, 4, dtype=TensorProto.INT64)


FORMS: dict[str, Callable[[Graph], None]] = {
    "yolo8": yolo8,
    "yolo8_rows": yolo8_rows,
    "yolo8_with_masks": lambda graph: yolo8(graph, 32),
    "yolo5": yolo5,
    "yolo5_raw": lambda graph: yolo5(graph, 3, False),
    "yolox": lambda graph: yolo5(graph, 1),
    "detr": detr,
    "ssd": ssd,
    "ssd_moved": ssd_moved,
    "ssd_reshaped": ssd_reshaped,
    "retina": retina,
    "nanodet": nanodet,
    "selected": selected,
    "segmenter": segmenter,
    "segmenter_last": segmenter_last,
    "winners": winners,
}
"""Forms that are read, each as a function that goes on from the logits of a graph."""


def expected_logits(form: str, pixels: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """[pictures, classes] by plain arithmetic, independent of the code under test."""
    logits = cell_logits(pixels, colours)
    if form in ("segmenter", "segmenter_last", "winners"):
        logits = logits[:, :16]
    if form in ("yolo5", "yolo5_raw", "yolox"):
        present = 1 / (1 + np.exp(-objectness(pixels)))[..., None]
        product = present / (1 + np.exp(-logits))
        logits = np.log(product) - np.log(1 - product)
    highest: np.ndarray = logits.max(axis=1)
    return highest


def detector_bytes(
    form: Callable[[Graph], None], colours: tuple[str, ...], **properties: str
) -> bytes:
    """The bytes of an ONNX file of a form, with properties of the file."""
    graph = Graph(colours)
    form(graph)
    return graph.pack(properties)


def write_detector(
    folder: Path,
    form: str,
    colours: tuple[str, ...],
    labels: Sequence[str] | None = None,
    **properties: str,
) -> Path:
    """A folder with model.onnx and model.json; `labels` are the colours unless they are given."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(detector_bytes(FORMS[form], colours, **properties))
    said: dict[str, Any] = {"input": SAID}
    if labels is None or labels:
        said["labels"] = list(labels or colours)
    (folder / "model.json").write_text(json.dumps(said))
    return folder / "model.onnx"
