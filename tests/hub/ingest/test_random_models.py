"""A model whose answers to the same picture differ gets a note; others get none."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from colour_world import World
from lagotto.hub.hub import Hub


def write_random_model(folder: Path) -> Path:
    """Three scores: the mean colour and noise that is drawn anew at each run."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("RandomNormalLike", ["mean"], ["noise"], mean=0.0, scale=1.0),
            helper.make_node("Add", ["mean", "noise"], ["scores"]),
        ],
        "random",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
    )
    folder.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "model.json").write_text('{"input": {"channels": "RGB", "scale": "0..1"}}')
    return folder


def test_a_model_that_draws_at_random_has_a_note(world: World, empty_copy: Path) -> None:
    random = write_random_model(empty_copy.parent / "models" / "random")
    Hub.open(empty_copy).add([random, world.models / "plain"])
    notes = {model.name: " ".join(model.notes) for model in Hub.open(empty_copy).status().models}
    assert "answers to the same pictures differ" in notes["random"]
    assert "differ" not in notes["plain"]
