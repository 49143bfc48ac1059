"""ONNX files that end, begin or are stored otherwise than most: the logits are the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lagotto.core.errors import ModelError
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest, load_model
from model_makers import CLASSES, Form, expected_logits, pictures, resave, write_model
from onnx_ends import NAMES, maps, store_outside, value, write_ends

PIXELS = pictures(Form(), 3)
LOGITS = expected_logits(Form(), PIXELS)
ML = {"domain": "ai.onnx.ml"}
SOFTMAX = helper.make_node("Softmax", ["scores"], ["p"])
BEST = helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=1)
POOL = [
    helper.make_node("Mul", ["flat", "flat"], ["squares"]),
    helper.make_node("ReduceMean", ["real"], ["means"], axes=[2, 3], keepdims=0),
]


def load(file: Path) -> Any:
    return load_model(scan_models([file.parent])[0])


def is_read(file: Path, source: str = "cut", labels: Any = NAMES) -> tuple[str, ...]:
    """Checks that a file answers with LOGITS and the labels; gives its notes."""
    model = load(file)
    assert model.spec.outputs == CLASSES
    assert model.spec.logits_source == source
    assert model.spec.labels == labels
    difference = model.logits(PIXELS) - LOGITS
    if source == "log":  # but for a constant of each picture
        difference = difference - difference.mean(axis=1, keepdims=True)
    assert np.abs(difference).max() < 1e-4
    notes: tuple[str, ...] = model.spec.notes
    return notes


def test_an_embedding_beside_the_scores_is_passed_over(tmp_path: Path) -> None:
    for name, outputs in {
        "first": [value("features", "n", 72), value("p", "n", CLASSES)],
        "second": [value("p", "n", CLASSES), value("features", "n", 72)],
    }.items():
        flat = helper.make_node("Identity", ["flat"], ["features"])
        (note,) = is_read(write_ends(tmp_path / name, [flat, SOFTMAX], outputs))
        assert note == (
            "output 'p' [?, 5] is read (it is as wide as the list of labels); "
            "passed over: 'features' [?, 72]"
        )


def test_output_name_in_model_json_overrules(tmp_path: Path) -> None:
    outputs = [value("p", "n", CLASSES), value("squares", "n", 72)]
    file = write_ends(tmp_path / "m", [SOFTMAX, *POOL], outputs, output_name="squares")
    model = load(file)
    assert model.spec.outputs == 72
    assert "model.json names it" in model.spec.notes[0]
    plain = write_ends(tmp_path / "plain", [SOFTMAX, *POOL], outputs)
    digests = {behaviour_digest(scan_models([item.parent])[0]) for item in (file, plain)}
    assert len(digests) == 2
    wrong = write_ends(tmp_path / "wrong", [SOFTMAX, *POOL], outputs, output_name="q")
    with pytest.raises(ModelError, match=r"output_name is 'q', .* allowed: 'p' .*, 'squares' "):
        load(wrong)


def test_a_zip_map_is_cut_and_its_names_are_the_labels(tmp_path: Path) -> None:
    zipped = helper.make_node("ZipMap", ["p"], ["zip"], classlabels_strings=list(NAMES), **ML)
    keys = {"keys_int64s": [4, 3, 2, 1, 0], "values_strings": list(reversed(NAMES))}
    named = helper.make_node("LabelEncoder", ["best"], ["label"], **keys, **ML)
    text = value("label", "n", 1, dtype=TensorProto.STRING)
    assert (
        is_read(write_ends(tmp_path / "alone", [SOFTMAX, zipped], [maps("zip")], labels=None)) == ()
    )
    both = write_ends(
        tmp_path / "both", [SOFTMAX, BEST, named, zipped], [text, maps("zip")], labels=None
    )
    assert "'zip' [?, 5] before its ZipMap is read" in is_read(both)[0]
    own = write_ends(tmp_path / "own", [SOFTMAX, zipped], [maps("zip")], labels="vwxyz")
    is_read(own, labels=tuple("vwxyz"))  # model.json comes first
    encoded = [text, value("p", "n", CLASSES)]
    is_read(write_ends(tmp_path / "encoder", [SOFTMAX, BEST, named], encoded, labels=None))


@pytest.mark.parametrize(
    ("numbers", "labels"),
    [([0, 1, 2, 3, 4], None), ([3, 5, 8, 13, -1], ("3", "5", "8", "13", "-1"))],
)
def test_numbers_in_a_zip_map_are_names_unless_they_only_count(
    numbers: list[int], labels: Any, tmp_path: Path
) -> None:
    zipped = helper.make_node("ZipMap", ["p"], ["zip"], classlabels_int64s=numbers, **ML)
    outputs = [maps("zip", TensorProto.INT64)]
    is_read(write_ends(tmp_path / "m", [SOFTMAX, zipped], outputs, labels=None), labels=labels)


def test_the_best_few_are_read_before_they_are_chosen(tmp_path: Path) -> None:
    top = helper.make_node("TopK", ["p", "three"], ["values", "indices"], axis=1)
    arrays = {"three": np.array([3])}
    values, indices = value("values", "n", 3), value("indices", "n", 3, dtype=TensorProto.INT64)
    notes = is_read(write_ends(tmp_path / "m", [SOFTMAX, top], [values, indices], arrays))
    assert "'values' [?, 5] before its TopK is read" in notes[0]
    is_read(write_ends(tmp_path / "alone", [SOFTMAX, top], [values], arrays))


def test_the_winner_and_its_score_are_read_before_they_are_chosen(tmp_path: Path) -> None:
    winner = helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0)
    score = helper.make_node("ReduceMax", ["p"], ["confidence"], axes=[1], keepdims=0)
    label, confidence = value("label", "n", dtype=TensorProto.INT64), value("confidence", "n")
    nodes = [SOFTMAX, winner, score]
    assert is_read(write_ends(tmp_path / "label", nodes, [label])) == ()
    assert is_read(write_ends(tmp_path / "score", nodes, [confidence])) == ()
    (note,) = is_read(write_ends(tmp_path / "both", nodes, [label, confidence]))
    assert note.startswith("output 'label' [?, 5] before its ArgMax is read")
    all_three = [label, confidence, value("p", "n", CLASSES)]
    (note,) = is_read(write_ends(tmp_path / "all", nodes, all_three))
    assert note.startswith("output 'p' [?, 5] is read (the others hold the same scores)")


def test_the_best_place_of_maps_stays_the_published_one(tmp_path: Path) -> None:
    """A softmax over maps whose largest value is published: classes, not a winner."""
    arrays = {"shape": np.array([-1, 5, 1, 1])}
    nodes = [
        helper.make_node("Reshape", ["scores", "shape"], ["column"]),
        helper.make_node("Concat", ["column", "column"], ["wide"], axis=3),
        helper.make_node("Sigmoid", ["wide"], ["maps"]),
        helper.make_node("ReduceMax", ["maps"], ["y"], axes=[2, 3], keepdims=0),
    ]
    file = write_ends(tmp_path, nodes, [value("y", "n", CLASSES)], arrays, output="sigmoid")
    is_read_as = load(file)
    assert is_read_as.spec.logits_source == "log"
    assert np.abs(is_read_as.logits(PIXELS) - LOGITS).max() < 1e-3


def test_scores_of_a_type_that_numpy_lacks_are_read_before_their_cast(tmp_path: Path) -> None:
    cast = helper.make_node("Cast", ["scores"], ["y"], to=TensorProto.BFLOAT16)
    output = value("y", "n", CLASSES, dtype=TensorProto.BFLOAT16)
    is_read(write_ends(tmp_path, [cast], [output]), "declared")


@pytest.mark.parametrize("shape", [[5], [5, 1, 1], [1, 1, 1, 5], [1, 5, 1, 1], [1, 1, 5], [5, 1]])
def test_scores_without_the_axis_of_pictures(shape: list[int], tmp_path: Path) -> None:
    node = helper.make_node("Reshape", ["scores", "shape"], ["y"])
    arrays = {"shape": np.array(shape)}
    is_read(write_ends(tmp_path / "logits", [node], [value("y", *shape)], arrays), "declared")
    node = helper.make_node("Reshape", ["p", "shape"], ["y"])
    is_read(write_ends(tmp_path / "softmax", [SOFTMAX, node], [value("y", *shape)], arrays))


def test_one_unit_with_two_labels_is_the_second(tmp_path: Path) -> None:
    unit = helper.make_node("Slice", ["scores", "two", "three", "one"], ["z"])
    arrays = {"one": np.array([1]), "two": np.array([2]), "three": np.array([3])}
    sigmoid = helper.make_node("Sigmoid", ["z"], ["y"])
    for name, nodes, output in [
        ("sigmoid", [unit, sigmoid], value("y", "n", 1)),
        ("logit", [unit], value("z", "n", 1)),
        ("scalar", [unit, helper.make_node("Squeeze", ["z"], ["s"])], value("s")),
    ]:
        file = write_ends(tmp_path / name, nodes, [output], arrays, labels=["no cat", "cat"])
        model = load(file)
        assert model.spec.labels == ("cat",)
        assert np.abs(model.logits(PIXELS)[:, 0] - LOGITS[:, 2]).max() < 1e-4
        assert model.spec.notes[-1] == (
            "one output for two labels: it is taken as 'cat', and 'no cat' as its complement"
        )
    single = write_ends(tmp_path / "single", [unit], [value("z", "n", 1)], arrays, labels=["cat"])
    assert load(single).spec.labels == ("cat",)
    three = write_ends(tmp_path / "three", [unit], [value("z", "n", 1)], arrays, labels="abc")
    assert load(three).spec.labels is None
    assert load(three).spec.notes == ("labels left out: 3 labels for 1 outputs",)


def test_what_selects_or_scales_after_a_softmax_is_looked_through(tmp_path: Path) -> None:
    hundred = {"hundred": np.float32(100)}
    scaled = helper.make_node("Mul", ["p", "hundred"], ["y"])
    rounded = helper.make_node("Round", ["y"], ["r"])
    output = [value("y", "n", CLASSES)]
    is_read(write_ends(tmp_path / "scaled", [SOFTMAX, scaled], output, hundred))
    output = [value("r", "n", CLASSES)]
    is_read(write_ends(tmp_path / "rounded", [SOFTMAX, scaled, rounded], output, hundred))
    order = np.array([0, 1, 2, 3, 4])
    taken = helper.make_node("Gather", ["p", "order"], ["y"], axis=1)
    file = write_ends(
        tmp_path / "taken", [SOFTMAX, taken], [value("y", "n", CLASSES)], {"order": order}
    )
    assert load(file).spec.output == "softmax"
    is_read(file, "log")
    some = write_ends(
        tmp_path / "some", [SOFTMAX, taken], [value("y", "n", 2)], {"order": order[[3, 1]]}, "xy"
    )
    model = load(some)
    assert (model.spec.output, model.spec.logits_source) == ("softmax", "log")
    expected = LOGITS[:, 3] - LOGITS[:, 1]
    logits = model.logits(PIXELS)
    assert np.abs(logits[:, 0] - logits[:, 1] - expected).max() < 1e-4


def test_percentages_in_whole_numbers_are_cut_or_undone(tmp_path: Path) -> None:
    arrays = {"hundred": np.float32(100), "order": np.array([4, 3, 2, 1, 0])}
    nodes = [
        SOFTMAX,
        helper.make_node("Mul", ["p", "hundred"], ["percent"]),
        helper.make_node("Round", ["percent"], ["whole"]),
    ]
    for name, kind in [("bytes", TensorProto.UINT8), ("numbers", TensorProto.INT32)]:
        cast = helper.make_node("Cast", ["whole"], ["y"], to=kind)
        flat = helper.make_node("Identity", ["flat"], ["features"])
        outputs = [value("features", "n", 72), value("y", "n", CLASSES, dtype=kind)]
        is_read(write_ends(tmp_path / name, [*nodes, cast, flat], outputs, arrays))
    nodes.append(helper.make_node("Cast", ["whole"], ["counts"], to=TensorProto.UINT8))
    nodes.append(helper.make_node("Gather", ["counts", "order"], ["y"], axis=1))
    outputs = [value("y", "n", CLASSES, dtype=TensorProto.UINT8)]
    model = load(write_ends(tmp_path / "turned", nodes, outputs, arrays))
    assert (model.spec.output, model.spec.logits_source) == ("softmax", "log")
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    floored = np.maximum(np.round(shares * 100) / 100, 0.005)
    assert np.abs(model.logits(PIXELS)[:, ::-1] - np.log(floored)).max() < 1e-4


def test_outputs_of_unknown_shape_are_read(tmp_path: Path) -> None:
    def no_shape(model: Any) -> None:
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")

    arrays = {"shape": np.array([-1, 5], np.int64)}
    nodes = [
        helper.make_node("Identity", ["shape"], ["form"]),
        helper.make_node("Reshape", ["scores", "form"], ["y"]),
        helper.make_node("Identity", ["flat"], ["features"]),
    ]
    alone = write_ends(tmp_path / "alone", nodes, [value("y", "n", CLASSES)], arrays)
    resave(alone, no_shape)
    is_read(alone, "declared")
    outputs = [value("features", "n", 72), value("y", "n", CLASSES)]
    both = write_ends(tmp_path / "both", nodes, outputs, arrays)
    resave(both, no_shape)
    is_read(both, "declared")


def test_double_and_whole_number_inputs_take_the_same_pictures(tmp_path: Path) -> None:
    def retype(kind: int) -> Any:
        def change(model: Any) -> None:
            model.graph.input[0].type.tensor_type.elem_type = kind

        return change

    double = write_model(Form(), tmp_path / "double")
    resave(double, retype(TensorProto.DOUBLE))
    assert load(double).spec.input.dtype == "float64"
    assert np.abs(load(double).logits(PIXELS) - LOGITS).max() < 1e-4
    form = Form(scale="0..255")
    for name, kind in [("int32", TensorProto.INT32), ("int64", TensorProto.INT64)]:
        file = write_model(form, tmp_path / name, described=False)
        resave(file, retype(kind))
        model = load(file)
        assert (model.spec.input.dtype, model.spec.input.scale) == (name, "0..255")
        assert np.abs(model.logits(PIXELS) - expected_logits(form, PIXELS)).max() < 1e-4
        (file.parent / "model.json").write_text('{"input": {"scale": "0..1"}}')
        with pytest.raises(ModelError, match="no quantization"):
            load(file)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_input_without_the_axis_of_pictures(layout: str, tmp_path: Path) -> None:
    form = Form(layout=layout, batch=1)
    file = write_model(form, tmp_path)

    def drop_axis(model: Any) -> None:
        graph = model.graph
        del graph.input[0].type.tensor_type.shape.dim[0]
        graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "front"))
        graph.node[0].input[0] = "four"
        graph.node.insert(0, helper.make_node("Unsqueeze", ["picture", "front"], ["four"]))

    resave(file, drop_axis)
    model = load(file)
    assert model.spec.input.layout == layout
    assert np.abs(model.logits(PIXELS) - expected_logits(form, PIXELS)).max() < 1e-4
    assert "no axis of pictures: one a run" in model.spec.notes[-1]


def test_grey_pictures_without_an_axis_of_channels(tmp_path: Path) -> None:
    form = Form(layout="NHWC", channels="L")
    file = write_model(form, tmp_path)

    def drop_axis(model: Any) -> None:
        graph = model.graph
        del graph.input[0].type.tensor_type.shape.dim[3]

    resave(file, drop_axis)
    pixels = pictures(form, 3)
    model = load(file)
    assert model.spec.input.pixels.grey
    assert np.abs(model.logits(pixels) - expected_logits(form, pixels)).max() < 1e-4


def test_switches_of_training_are_set(tmp_path: Path) -> None:
    def add_inputs(*inputs: Any) -> Any:
        def change(model: Any) -> None:
            graph = model.graph
            graph.input.extend(inputs)
            last = graph.node[-1]
            last.output[0] = "plain"
            if inputs[0].name == "keep_prob":
                graph.node.append(helper.make_node("Div", ["plain", "keep_prob"], ["scores"]))
            else:
                rate = onnx.numpy_helper.from_array(np.float32(0.5), "half")
                graph.initializer.append(rate)
                source = ["plain", "half", inputs[0].name]
                graph.node.append(helper.make_node("Dropout", source, ["scores"]))

        return change

    for name, item, set_to in [
        ("keep", value("keep_prob"), 1),
        ("flag", value("flag", dtype=TensorProto.BOOL), 0),
        ("training", value("is_training", dtype=TensorProto.BOOL), 0),
    ]:
        file = write_model(Form(), tmp_path / name)
        resave(file, add_inputs(item))
        model = load(file)
        assert np.abs(model.logits(PIXELS) - LOGITS).max() < 1e-4
        assert model.spec.notes == (
            f"input {item.name!r} is set to {set_to} (a switch of training)",
        )


def test_an_input_that_the_scores_do_not_depend_on_is_no_hindrance(tmp_path: Path) -> None:
    def add_input(model: Any) -> None:
        model.graph.input.append(value("extra", 1))
        model.graph.node.append(helper.make_node("Identity", ["extra"], ["unused"]))

    file = write_model(Form(), tmp_path)
    resave(file, add_input)
    model = load(file)
    assert np.abs(model.logits(PIXELS) - LOGITS).max() < 1e-4
    assert model.spec.notes == ("input 'extra' is set to 0 (the scores do not depend on it)",)


def test_a_file_that_is_too_new_names_both_versions(tmp_path: Path) -> None:
    def newer(model: Any) -> None:
        model.ir_version = 99

    def later(model: Any) -> None:
        model.opset_import[0].version = 99

    for change, what in [(newer, "ONNX IR version 99"), (later, "opset ai.onnx 99")]:
        file = write_model(Form(), tmp_path / what[:5])
        resave(file, change)
        with pytest.raises(
            ModelError, match=rf"the file has {what}, and onnxruntime \S+ reads"
        ) as error:
            load(file)
        assert "up to " in str(error.value)
        assert "pip install -U onnxruntime" in str(error.value)


def test_external_data_under_other_names_and_sizes(tmp_path: Path) -> None:
    def stored(name: str, location: str, data_file: str | None) -> Path:
        file = write_model(Form(), tmp_path / name)
        store_outside(file, location, data_file)
        return file

    file = stored("backslash", "weights\\w.data", "weights/w.data")
    assert np.abs(load(file).logits(PIXELS) - LOGITS).max() < 1e-4
    file = stored("out", "..\\backslash\\weights\\w.data", "w.data")
    with pytest.raises(ModelError, match="not inside the model's folder"):
        load(file)
    with pytest.raises(
        ModelError, match=r"no such file; download it beside .*1440 bytes are needed"
    ):
        load(stored("missing", "w.data", None))
    renamed = r"'old.data', .* no such file; beside the model lies 'model.onnx.data' \(1440 bytes\)"
    with pytest.raises(ModelError, match=renamed):
        load(stored("renamed", "old.data", "model.onnx.data"))
    file = stored("short", "w.data", "w.data")
    (file.parent / "w.data").write_bytes(bytes(range(256)))
    with pytest.raises(ModelError, match=r"'w.data', of which 1440 .* cut short \(256 bytes\)"):
        load(file)
    (file.parent / "w.data").write_text("version https://git-lfs.github.com/spec/v1\nsize 1440\n")
    with pytest.raises(ModelError, match=r"'w.data', .* is a Git LFS pointer"):
        load(file)


def test_paths_in_model_json_may_have_backslashes(tmp_path: Path) -> None:
    inner = tmp_path / "m" / "files"
    write_model(Form(), inner, described=False)
    (inner / "labels.txt").write_text("\n".join(NAMES))
    said = {"file": "files\\model.onnx", "labels": "files\\labels.txt"}
    (tmp_path / "m" / "model.json").write_text(json.dumps(said))
    (source,) = scan_models([tmp_path / "m"])
    model = load_model(source)
    assert model.spec.labels == NAMES
    assert np.abs(model.logits(PIXELS) - LOGITS).max() < 1e-4
    for outside in ("..\\w.onnx", "\\\\server\\share\\w.onnx", "\\w.onnx"):
        (tmp_path / "m" / "model.json").write_text(json.dumps({"file": outside}))
        with pytest.raises(ModelError, match="not inside the model's folder"):
            load_model(scan_models([tmp_path / "m"])[0])
