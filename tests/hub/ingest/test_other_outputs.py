"""Models with an embedding beside the scores, or one unit for two labels, from file to hit."""

import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from colour_world import Classifier, write_classifier
from lagotto.hub.hub import Hub


def test_they_are_probed_found_and_say_what_was_chosen(empty_copy: Path, tmp_path: Path) -> None:
    file = write_classifier(tmp_path / "two_outputs", Classifier(("red", "green"), softmax=True))
    model = onnx.load(file)
    picture = model.graph.input[0].name
    model.graph.node.append(helper.make_node("GlobalAveragePool", [picture], ["embedding"]))
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3, 1, 1])
    model.graph.output.insert(0, embedding)
    onnx.save(model, file)
    file = write_classifier(tmp_path / "one_unit", Classifier(("red",), seed=3))
    said = json.loads((file.parent / "model.json").read_text())
    (file.parent / "model.json").write_text(json.dumps({**said, "labels": ["other", "red"]}))
    with Hub.open(empty_copy) as hub:
        report = hub.add([tmp_path])
        assert set(report.done) == {"two_outputs", "one_unit"}
        hits = hub.search("red", top=2).hits
        assert {(hit.model, hit.logit, hit.label) for hit in hits} == {
            ("two_outputs", 0, "red"),
            ("one_unit", 0, "red"),
        }
        notes = {model.name: model.notes for model in hub.status().models}
    assert any("passed over: 'embedding' [?, 3, 1, 1]" in note for note in notes["two_outputs"])
    assert "one output for two labels: it is taken as 'red'" in notes["one_unit"][-1]
