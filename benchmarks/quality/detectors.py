"""Detectors found by text among classifiers, in the bundled world.

    python benchmarks/quality/detectors.py --json > benchmarks/results/quality_detectors.json

No detector is part of the bundled world, so half of its classifiers become detectors: each runs on
five boxes of a larger picture (its quarters and the whole) and publishes boxes and scores in the
form of YOLOv8, [1, 4 + classes, 5]. The same texts are asked of the hub of classifiers (the
baseline) and of the mixed one. Told apart are the texts whose first hit is one of the models that
became detectors. That a score which is read is not below the classifier's own logits on the
quarters is asserted.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lagotto.core.types import ModelSource
from lagotto.demo import bundled
from lagotto.evaluation.retrieval.truth import TruthQuery, read_truth
from lagotto.hub.hub import Hub
from lagotto.models.registry import load_model

BOXES = 5


def as_detector(data: bytes, classes: int) -> bytes | None:
    """The classifier as a detector of five boxes; None if it does not take many pictures a run.

    One of five classes is left alone, too: its scores would be a square, [5, 5].
    """
    model = onnx.load_from_string(data)
    graph, (given,) = model.graph, model.graph.input
    kind = given.type.tensor_type
    sizes = [dimension.dim_value for dimension in kind.shape.dim]
    if kind.elem_type != TensorProto.FLOAT or sizes[0] or len(sizes) != 4 or classes == BOXES:
        return None
    axes = [2, 3] if sizes[1] in (1, 3) else [1, 2]
    edges = [sizes[axis] for axis in axes]
    nodes, arrays = [], {"box_axes": np.array(axes)}
    for number in range(4):
        start = [edge // 2 * (number >> at & 1) for at, edge in enumerate(edges)]
        arrays[f"start{number}"] = np.array(start)
        arrays[f"stop{number}"] = np.array([a + edge for a, edge in zip(start, edges, strict=True)])
        inputs = ["large_picture", f"start{number}", f"stop{number}", "box_axes"]
        nodes.append(helper.make_node("Slice", inputs, [f"box{number}"]))
    arrays["smaller"] = np.array([2 / 3 if at in axes else 1 for at in range(4)], np.float32)
    nodes.append(
        helper.make_node("Resize", ["large_picture", "", "smaller"], ["box4"], mode="linear")
    )
    nodes.append(
        helper.make_node("Concat", [f"box{at}" for at in range(BOXES)], [given.name], axis=0)
    )
    published = graph.output[0].name
    is_softmax = any(n.op_type == "Softmax" and published in n.output for n in graph.node)
    arrays["with_boxes"] = np.array([1, classes, BOXES])
    arrays["corners"] = np.full((1, 4, BOXES), 9, np.float32)
    after = [
        helper.make_node("Transpose", [published], ["by_class"], perm=[1, 0]),
        helper.make_node("Reshape", ["by_class", "with_boxes"], ["class_scores"]),
        helper.make_node(
            "Identity" if is_softmax else "Sigmoid", ["class_scores"], ["class_probabilities"]
        ),
        helper.make_node("Concat", ["corners", "class_probabilities"], ["boxes_out"], axis=1),
    ]
    large = [edge * 3 // 2 for edge in edges]
    shape = [1, *(large[axes.index(at)] if at in axes else sizes[at] for at in (1, 2, 3))]
    whole = helper.make_graph(
        [*nodes, *graph.node, *after],
        "detector",
        [helper.make_tensor_value_info("large_picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("boxes_out", TensorProto.FLOAT, [1, 4 + classes, BOXES])],
        [*graph.initializer, *(numpy_helper.from_array(arrays[name], name) for name in arrays)],
    )
    made = helper.make_model(whole, opset_imports=model.opset_import, ir_version=model.ir_version)
    packed: bytes = made.SerializeToString()
    return packed


def write_detectors(folder: Path) -> tuple[str, ...]:
    """The models of the world in a folder, every second one that can be as a detector; these."""
    shutil.copytree(bundled.MODELS, folder)
    detectors = []
    for number, (name, classes) in enumerate(sorted(bundled.read_classes().items())):
        file = folder / name / "model.onnx"
        if number % 2 or not file.exists():
            continue
        data = as_detector(file.read_bytes(), len(classes))
        if data is None:
            continue
        _check(file, data, len(classes))
        said = json.loads((file.parent / "model.json").read_text())
        file.write_bytes(data)
        (file.parent / "model.json").write_text(json.dumps(_described(said, len(classes))))
        detectors.append(name)
    return tuple(detectors)


def _described(said: dict[str, Any], classes: int) -> dict[str, Any]:
    """model.json for the larger picture; a detector needs labels, or nobody knows its classes."""
    given = {**said["input"], "size": [edge * 3 // 2 for edge in said["input"]["size"]]}
    return {
        **{key: said[key] for key in said if key not in ("output", "labels")},
        "labels": said.get("labels") or [f"class {at}" for at in range(classes)],
        "input": {**given, "resize": "stretch"},
    }


def _check(file: Path, data: bytes, classes: int) -> None:
    """Asserts that the detector's scores are the highest of the classifier's on its boxes."""
    said = json.loads((file.parent / "model.json").read_text())
    classifier = load_model(ModelSource("c", file, said))
    copy = file.with_name("detector.onnx")
    copy.write_bytes(data)
    detector = load_model(ModelSource("d", copy, _described(said, classes)))
    assert (detector.spec.kind, detector.spec.outputs) == ("detector", classes)
    height, width, channels = classifier.spec.input.pixels.shape
    large = (height * 3 // 2, width * 3 // 2, channels)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *large), dtype=np.uint8)
    pixels = np.repeat(np.repeat(pixels[:, ::12, ::12], 12, 1), 12, 2)[:, : large[0], : large[1]]
    logits = classifier.logits(
        np.concatenate(
            [
                pixels[:, y : y + height, x : x + width]
                for y in (0, height // 2)
                for x in (0, width // 2)
            ]
        )
    )
    highest = logits.reshape(4, 2, classes).max(axis=0)
    read = detector.logits(pixels)
    if classifier.spec.output == "logits":
        assert (read >= highest - 0.01).all(), file
    copy.unlink()


def scores(models: Path, folder: Path, truth: list[TruthQuery], chosen: tuple[str, ...]) -> Any:
    """Top-1 of all texts, and of those whose first hit is one of the chosen models."""
    hub = Hub.create(folder, [bundled.PROBES], str(bundled.DEMO_ENCODER))
    report = hub.add([models])
    assert not report.failures, report.failures
    first = [hub.search(query.text, top=1, behaviour_only=True)[0] for query in truth]
    is_right = [
        (hit.model, hit.logit) in query.correct for hit, query in zip(first, truth, strict=True)
    ]
    of_chosen = [right for hit, right in zip(first, is_right, strict=True) if hit.model in chosen]
    kinds = [record.kind for record in hub.reader.records()]
    hub.close()
    return {
        "models": len(kinds),
        "detectors": kinds.count("detector"),
        "top1": round(float(np.mean(is_right)), 4),
        "first hits on them": len(of_chosen),
        "of these right": round(float(np.mean(of_chosen)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    truth = list(read_truth(bundled.DEMO_TRUTH))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = write_detectors(folder / "models")
        result = {
            "texts": len(truth),
            "classifiers alone": scores(bundled.MODELS, folder / "plain", truth, chosen),
            "with detectors": scores(folder / "models", folder / "mixed", truth, chosen),
        }
    mixed = result["with detectors"]
    assert mixed["detectors"] == len(chosen) > 10
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
