"""A model file and files beside it → its input and labels, each with its origin."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.types import ModelSource, ModelSpec
from lagotto.models.metadata.beside.finder import read_beside
from lagotto.models.metadata.beside.label_files import bare_stem
from lagotto.models.metadata.description import Description
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest, load_model
from model_makers import HEIGHT, WIDTH, Form, resave, write_model

NAMES = ("cat", "dog", "owl", "fox", "bee")
ONE_A_LINE = "\n".join(NAMES)
NUMBERED = "".join(f"{number} {name}\n" for number, name in enumerate(NAMES))
BY_NUMBER = json.dumps({str(number): name for number, name in enumerate(NAMES)})
BY_NAME = json.dumps({name: number for number, name in enumerate(NAMES)})


def model(folder: Path, file: str = "model.onnx", is_open: bool = False) -> Path:
    """A classifier of five classes that says nothing of itself; its size may be open."""
    made = write_model(Form(Path(file).suffix[1:]), folder / "made", described=False)
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)
    made.parent.rmdir()
    if is_open:

        def open_axes(model: Any) -> None:
            for axis, name in zip(
                model.graph.input[0].type.tensor_type.shape.dim[1:], "chw", strict=True
            ):
                axis.dim_param = name

        resave(target, open_axes)
    return target


def write(folder: Path, **files: object) -> None:
    """Files by name; a double underscore stands for the dot before the ending."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("__", ".")).write_text(text)


def loaded(folder: Path) -> ModelSpec:
    (source,) = scan_models([folder])
    return load_model(source).spec


def origins(spec: ModelSpec) -> dict[str, str]:
    return {item.field: item.origin for item in spec.decisions}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", ONE_A_LINE),
        ("labels.txt", NUMBERED),
        ("Labels.TXT", ONE_A_LINE),
        ("label.txt", ONE_A_LINE),
        ("classes.txt", ONE_A_LINE),
        ("class_names.txt", ONE_A_LINE),
        ("class-names.json", json.dumps(NAMES)),
        ("labels.json", json.dumps(NAMES)),
        ("id2label.json", BY_NUMBER),
        ("class_to_idx.json", BY_NAME),
        ("class_indices.json", BY_NAME),
        ("index_to_name.json", BY_NUMBER),
        ("imagenet_class_index.json", json.dumps({n: ["n0", s] for n, s in enumerate(NAMES)})),
        ("model.txt", ONE_A_LINE),
        ("model.names", ONE_A_LINE),
        ("model_labels.txt", ONE_A_LINE),
        ("birds.names", ONE_A_LINE),
        ("labels_mobilenet_v1.txt", ONE_A_LINE),
        ("dict.txt", ONE_A_LINE),
        ("data.yaml", "nc: 5\nnames:\n" + "".join(f"  {n}: {s}\n" for n, s in enumerate(NAMES))),
        (
            "labelmap.pbtxt",
            "".join(f"item {{ id: {n} name: '{s}' }}\n" for n, s in enumerate(NAMES)),
        ),
        ("metadata.json", json.dumps({"labels": NAMES, "imageSize": 4, "tmVersion": "2.4"})),
        ("signature.json", json.dumps({"classes": {"Label": NAMES}})),
        ("deployment-metadata.json", json.dumps({"version": 1, "classes": NAMES})),
        (
            "model_variables.h",
            f"char* ei_classifier_inferencing_categories[] = {{ {json.dumps(NAMES)[1:-1]} }};",
        ),
    ],
)
def test_a_list_of_fitting_length_gives_the_labels(tmp_path: Path, name: str, content: str) -> None:
    model(tmp_path)
    (tmp_path / name).write_text(content)
    spec = loaded(tmp_path)
    assert spec.labels == NAMES
    assert spec.labels_origin == name
    assert any(note.startswith(f"labels from {name}") for note in spec.notes)


@pytest.mark.parametrize(
    "name", ["README.md", "train_labels.txt", "requirements.txt", "notes.txt", ".labels.txt"]
)
def test_other_files_are_no_lists_of_labels(tmp_path: Path, name: str) -> None:
    model(tmp_path)
    (tmp_path / name).write_text(ONE_A_LINE)
    assert loaded(tmp_path).labels is None


def test_a_list_of_another_length_is_not_used_and_both_lengths_are_told(tmp_path: Path) -> None:
    model(tmp_path)
    write(tmp_path, labels__txt="\n".join(NAMES[:3]))
    spec = loaded(tmp_path)
    assert (spec.labels, spec.labels_origin) == (None, "")
    assert "labels.txt not used: 3 names for 5 outputs" in spec.notes
    write(tmp_path, classes__txt=ONE_A_LINE)
    spec = loaded(tmp_path)
    assert (spec.labels, spec.labels_origin) == (NAMES, "classes.txt")
    assert "labels.txt not used: 3 names for 5 outputs" in spec.notes


def test_a_list_that_cannot_be_read_is_a_note(tmp_path: Path) -> None:
    model(tmp_path)
    write(tmp_path, labels__json='{"version": [[1.5]]}')
    (note,) = [note for note in loaded(tmp_path).notes if "labels.json" in note]
    assert note.startswith("labels.json not used: it ")
    assert str(tmp_path) not in note


@pytest.mark.parametrize("name", ["label_encoder.pkl", "classes.xlsx", "model_labels.toml"])
def test_a_list_in_a_form_that_is_not_read_is_a_note(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{name.replace(".", "__"): "anything", "model__md": "about the model"})
    model(tmp_path)
    spec = loaded(tmp_path)
    (note,) = [note for note in spec.notes if "not used" in note]
    assert note.startswith(f"{name} not used: no list of names is read from .")
    assert note.endswith("write labels.txt, one name a line")


def test_of_two_lists_that_differ_the_preferred_is_taken_with_a_note(tmp_path: Path) -> None:
    model(tmp_path)
    write(tmp_path, labels__txt="\n".join(reversed(NAMES)), classes__txt=ONE_A_LINE)
    spec = loaded(tmp_path)
    assert spec.labels == NAMES[::-1]
    (note,) = [note for note in spec.notes if note.startswith("classes.txt not used")]
    assert "labels are from labels.txt" in note
    assert "first at output 0 ('cat', 'bee')" in note
    write(tmp_path, model__txt=ONE_A_LINE)  # its own name goes first
    assert loaded(tmp_path).labels_origin == "model.txt"
    write(tmp_path, model__json={"labels": ["v", "w", "x", "y", "z"]})
    spec = loaded(tmp_path)
    assert (spec.labels, spec.labels_origin) == (tuple("vwxyz"), "model.json")
    assert sum("labels are from model.json" in note for note in spec.notes) == 3
    write(tmp_path, model__txt="a\nb", labels__txt="a\nb", classes__txt="a\nb")
    assert not any(".txt" in note for note in loaded(tmp_path).notes)  # model.json has decided


def test_equal_lists_need_no_note(tmp_path: Path) -> None:
    model(tmp_path)
    write(tmp_path, labels__txt=NUMBERED, labels__json=NAMES)
    assert not any("not used" in note for note in loaded(tmp_path).notes)


def test_labels_of_model_json_that_do_not_fit_leave_the_place_to_others(tmp_path: Path) -> None:
    model(tmp_path)
    write(tmp_path, model__json={"labels": ["a", "b"]}, labels__txt=ONE_A_LINE)
    spec = loaded(tmp_path)
    assert (spec.labels, spec.labels_origin) == (NAMES, "labels.txt")
    assert "labels left out: 2 labels for 5 outputs" in spec.notes


def narrower(file: Path) -> Path:
    """The file with its output declared as three wide."""

    def change(model: Any) -> None:
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3

    resave(file, change)
    return file


def test_a_list_beside_several_models_fits_all_or_none(tmp_path: Path) -> None:
    first, _ = model(tmp_path, "birds.onnx"), model(tmp_path, "trees.tflite")
    model(tmp_path, "birds_quantized.onnx")  # a variant, no other model
    write(tmp_path, labels__txt=ONE_A_LINE)
    spec = load_model(ModelSource("birds", first)).spec
    assert spec.labels == NAMES
    assert any("beside 2 models with as many outputs" in note for note in spec.notes)
    narrower(model(tmp_path, "other.onnx"))
    spec = load_model(ModelSource("birds", first)).spec
    assert spec.labels is None
    (note,) = [note for note in spec.notes if note.startswith("labels.txt not used")]
    assert "beside 3 models and fits not all ('other.onnx')" in note
    write(tmp_path, trees_labels__txt=ONE_A_LINE)
    spec = load_model(ModelSource("birds", first)).spec
    assert spec.labels is None
    spec = load_model(ModelSource("trees", tmp_path / "trees.tflite")).spec
    assert (spec.labels, spec.labels_origin) == (NAMES, "trees_labels.txt")


@pytest.mark.parametrize(
    ("stem", "bare"),
    [
        ("model_unquant", "model"),
        ("best_float16", "best"),
        ("best_full_integer_quant", "best"),
        ("model_q4f16", "model"),
        ("Birds-FP16", "birds"),
        ("best_v2", "best_v2"),
    ],
)
def test_endings_of_variants_are_no_part_of_a_name(stem: str, bare: str) -> None:
    assert bare_stem(stem) == bare


def test_custom_vision_names_its_list_and_says_how_to_feed(tmp_path: Path) -> None:
    model(tmp_path)
    properties = {
        "Image.BitmapPixelFormat": "Bgr8",
        "Image.NominalPixelRange": "NominalRange_0_255",
    }
    write(
        tmp_path,
        cvexport__manifest={"DomainType": "Classification", "LabelFileName": "names.csv"},
        metadata_properties__json=properties,
        labels__txt="\n".join(reversed(NAMES)),
        names__csv=ONE_A_LINE,
    )
    spec = loaded(tmp_path)
    assert (spec.labels, spec.labels_origin) == (NAMES, "names.csv")
    assert (spec.input.channels, spec.input.scale) == ("BGR", "0..255")
    assert origins(spec)["scale"] == "metadata_properties.json"
    write(tmp_path, cvexport__manifest={"DomainType": "ObjectDetection"})
    assert any("'ObjectDetection', not for class" in note for note in loaded(tmp_path).notes)


def test_teachable_machine_and_edge_impulse_say_the_size(tmp_path: Path) -> None:
    model(tmp_path / "a", is_open=True)
    write(tmp_path / "a", metadata__json={"packageName": "@teachablemachine/image", "imageSize": 9})
    model(tmp_path / "b", "tflite-model/trained.onnx", is_open=True)
    (tmp_path / "b/model-parameters").mkdir()
    sizes = (
        f"#define EI_CLASSIFIER_INPUT_WIDTH {WIDTH}\n#define EI_CLASSIFIER_INPUT_HEIGHT {HEIGHT}"
    )
    (tmp_path / "b/model-parameters/model_metadata.h").write_text(sizes)
    first, second = scan_models([tmp_path])
    with pytest.raises(Exception, match="cannot run"):  # it has weights for another size
        load_model(first)
    spec = load_model(second).spec
    assert spec.input.pixels.shape == (HEIGHT, WIDTH, 3)
    assert origins(spec)["size"] == "model_metadata.h"
    write(tmp_path / "a", metadata__json={"packageName": "@teachablemachine/pose", "imageSize": 9})
    with pytest.raises(Exception, match="open shape"):
        load_model(first)


SETTINGS = (
    *("config.json", "preprocessor_config.json", "metadata.json", "metadata_properties.json"),
    *("cvexport.manifest", "signature.json", "tflite_metadata.json", "labels.json", "model.json"),
)
KEYS = st.sampled_from(
    [
        *("id2label", "label2id", "image_size", "pretrained_cfg", "input_size", "crop_mode"),
        *("label_names", "label_descriptions", "size", "height", "width", "resample", "crop_pct"),
        *("image_mean", "image_std", "image_processor_type", "labels", "imageSize", "tmVersion"),
        *("LabelFileName", "DomainType", "classes", "Label", "imageHeight", "imageWidth", "0", "1"),
    ]
)
CONFIG = {"model_type": "vit", "image_size": 5, "id2label": json.loads(BY_NUMBER)}
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": HEIGHT, "width": WIDTH},
    "resample": 3,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
}


@pytest.mark.parametrize("file", ["model.onnx", "onnx/model.onnx", "onnx/model_fp16.onnx"])
def test_an_export_is_fed_and_named_as_its_settings_say(tmp_path: Path, file: str) -> None:
    model(tmp_path, file, is_open=True)
    write(tmp_path, config__json=CONFIG, preprocessor_config__json=PROCESSOR)
    spec = loaded(tmp_path)
    assert spec.input.pixels.shape == (HEIGHT, WIDTH, 3)
    assert (spec.input.pixels.resize, spec.input.pixels.resample) == ("stretch", "bicubic")
    assert (spec.input.scale, spec.input.mean[0], spec.input.std[0]) == ("0..1", 0.5, 0.25)
    assert (spec.labels, spec.labels_origin) == (NAMES, "config.json")
    assert set(origins(spec).values()) == {"preprocessor_config.json", "assumed"}
    assert origins(spec)["layout"] == "assumed"


def test_settings_beside_several_models_are_taken_with_a_note(tmp_path: Path) -> None:
    first = model(tmp_path, "birds.onnx")
    write(tmp_path, config__json=CONFIG, preprocessor_config__json=PROCESSOR)
    model(tmp_path, "birds_fp16.onnx")
    assert not any("beside" in note for note in load_model(ModelSource("m", first)).spec.notes)
    other = model(tmp_path, "trees.onnx")
    spec = load_model(ModelSource("m", first)).spec
    assert (spec.labels, spec.input.mean) == (NAMES, (0.5, 0.5, 0.5))
    assert "preprocessor_config.json lies beside 2 models and is taken for each" in spec.notes
    assert any(
        note.startswith("labels from config.json, which lies beside 2") for note in spec.notes
    )
    narrower(other)
    assert load_model(ModelSource("m", first)).spec.labels is None


def test_the_size_is_in_config_json_if_nowhere_else(tmp_path: Path) -> None:
    model(tmp_path, is_open=True)
    write(tmp_path, config__json=CONFIG | {"image_size": [HEIGHT, WIDTH]})
    spec = loaded(tmp_path)
    assert spec.input.pixels.shape == (HEIGHT, WIDTH, 3)
    assert origins(spec)["size"] == "config.json"


def test_the_settings_of_timm_are_read_for_a_graph(tmp_path: Path) -> None:
    model(tmp_path, is_open=True)
    settings = {"input_size": [3, HEIGHT, WIDTH], "mean": [0.1] * 3, "std": [0.2] * 3}
    config = {"pretrained_cfg": settings | {"interpolation": "bicubic"}, "label_names": NAMES}
    write(tmp_path, config__json=config)
    spec = loaded(tmp_path)
    assert (spec.input.mean, spec.input.pixels.resample) == ((0.1,) * 3, "bicubic")
    assert (spec.labels, origins(spec)["scale"]) == (NAMES, "config.json")


def test_what_the_tensor_contradicts_is_a_note_not_an_error(tmp_path: Path) -> None:
    model(tmp_path)
    write(tmp_path, preprocessor_config__json=PROCESSOR | {"size": {"height": 224, "width": 224}})
    spec = loaded(tmp_path)
    assert spec.input.pixels.shape == (HEIGHT, WIDTH, 3)
    assert spec.input.mean == (0.5, 0.5, 0.5)
    (note,) = [note for note in spec.notes if note.startswith("preprocessor_config.json")]
    assert "size 224x224 not used: the input is [?, 3, 6, 4]" in note


def test_model_json_overrules_the_settings(tmp_path: Path) -> None:
    model(tmp_path)
    write(
        tmp_path,
        preprocessor_config__json=PROCESSOR,
        model__json={"input": {"scale": "-1..1", "resize": "crop", "channels": "BGR"}},
    )
    spec = loaded(tmp_path)
    assert (spec.input.scale, spec.input.mean, spec.input.channels) == ("-1..1", (), "BGR")
    assert (spec.input.pixels.resize, spec.input.pixels.resample) == ("crop", "bicubic")
    assert origins(spec)["scale"] == origins(spec)["resize"] == "model.json"


@pytest.mark.parametrize("text", ["{", "[]", "version https://git-lfs.github.com/spec/v1\noid x"])
def test_settings_that_cannot_be_read_are_a_note(tmp_path: Path, text: str) -> None:
    model(tmp_path)
    write(tmp_path, config__json=text, preprocessor_config__json=text)
    notes = loaded(tmp_path).notes
    assert (
        sum(note.startswith(("config.json not", "preprocessor_config.json not")) for note in notes)
        == 2
    )


def test_the_settings_enter_the_digest_and_labels_do_not(tmp_path: Path) -> None:
    file = model(tmp_path)
    bare = behaviour_digest(ModelSource("m", file))
    write(tmp_path, labels__txt=ONE_A_LINE, config__json={"id2label": CONFIG["id2label"]})
    assert behaviour_digest(ModelSource("m", file)) == bare
    write(tmp_path, preprocessor_config__json=PROCESSOR)
    fed = behaviour_digest(ModelSource("m", file))
    assert fed != bare
    described = {
        "size": [HEIGHT, WIDTH],
        "channels": "RGB",
        "scale": "0..1",
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "resize": "stretch",
        "crop_fraction": 1.0,
        "resample": "bicubic",
    }
    (tmp_path / "preprocessor_config.json").unlink()
    assert behaviour_digest(ModelSource("m", file, {"input": described})) == fed


def test_a_list_behind_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    model(tmp_path / "m")
    write(tmp_path, secret__txt=ONE_A_LINE, secret__json={"id2label": CONFIG["id2label"]})
    (tmp_path / "m/labels.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "m/config.json").symlink_to(tmp_path / "secret.json")
    assert loaded(tmp_path / "m").labels is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES), st.sampled_from(SETTINGS))
def test_no_settings_are_more_than_a_note(value: dict[str, Any], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_text(json.dumps(value))
        found = read_beside(Path(folder, "model.onnx"), Description())
    assert all(note.isprintable() for note in found.notes)
