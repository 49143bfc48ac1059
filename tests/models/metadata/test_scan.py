"""Paths given by a user → models in a fixed order, with unique names."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lagotto.core.errors import ModelError, UsageError
from lagotto.models.metadata.scan import scan_models, scan_paths
from lagotto.models.registry import behaviour_digest, load_model
from network_files import shapes_of, write_network
from seeded_weights import seeded_weights


def touch(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    return file


def describe(folder: Path, **values: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(values))


def names(*paths: Path) -> list[str]:
    return [source.name for source in scan_models(paths)]


def test_names_files_by_their_path_and_lone_models_by_their_folder(tmp_path: Path) -> None:
    for file in ("b/exp.v3.onnx", "b/other.TFLITE", "a/deep/model.onnx", "z.tflite", "notes.txt"):
        touch(tmp_path / "hub" / file)
    assert names(tmp_path / "hub") == ["a/deep", "b/exp.v3", "b/other", "z"]
    assert names(tmp_path / "hub" / "a" / "deep") == ["deep"]
    assert names(tmp_path / "hub" / "b" / "exp.v3.onnx") == ["exp.v3"]


def test_a_described_folder_is_one_model_and_is_not_searched_deeper(tmp_path: Path) -> None:
    touch(tmp_path / "hub/a/m.onnx")
    touch(tmp_path / "hub/a/deeper/other.onnx")
    describe(tmp_path / "hub/a", labels=["x"])
    touch(tmp_path / "hub/b/sub/one.onnx")
    touch(tmp_path / "hub/b/two.onnx")
    describe(tmp_path / "hub/b", name="my model", file="sub/one.onnx")
    found = scan_models([tmp_path / "hub"])
    assert [(source.name, source.file.name) for source in found] == [
        ("a", "m.onnx"),
        ("my model", "one.onnx"),
    ]
    assert found[0].description == {"labels": ["x"]}


def test_a_described_file_or_its_model_json_stands_for_the_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a/m.onnx")
    touch(tmp_path / "a/other.onnx")
    describe(tmp_path / "a", name="said", file="m.onnx")
    assert names(tmp_path / "a/m.onnx") == ["said"]
    assert names(tmp_path / "a/model.json") == ["said"]
    assert names(tmp_path / "a/other.onnx") == ["other"]


def test_later_models_of_a_taken_name_are_numbered_and_a_file_counts_once(tmp_path: Path) -> None:
    files = [touch(tmp_path / f"{folder}/x.onnx") for folder in "abc"]
    assert names(*files) == ["x", "x~2", "x~3"]
    assert names(files[0], files[0], tmp_path / "a") == ["x"]
    touch(tmp_path / "a/x.tflite")
    assert names(tmp_path / "a") == ["x", "x~2"]


def test_links_out_of_the_folder_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    outside = touch(tmp_path / "outside/secret.onnx")
    touch(tmp_path / "hub/in.onnx")
    touch(tmp_path / "hub/.cache/hidden.onnx")
    (tmp_path / "hub/link.onnx").symlink_to(outside)
    (tmp_path / "hub/folder").symlink_to(outside.parent)
    touch(tmp_path / "described/m.onnx")
    describe(tmp_path / "described", name="described")
    (tmp_path / "hub/other").symlink_to(tmp_path / "described")
    (tmp_path / "hub/loop").symlink_to(tmp_path / "hub")
    (tmp_path / "hub/dangling.onnx").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path / "hub") == ["in"]
    (tmp_path / "given").symlink_to(tmp_path / "hub")
    assert names(tmp_path / "given") == ["in"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "one JSON object"),
        ('{"file": "../m.onnx"}', "not inside"),
        ('{"file": "/etc/passwd"}', "not inside"),
        ('{"file": "none.onnx"}', "no such file"),
        ('{"file": "notes.txt"}', "known endings"),
        ('{"input": {"layout": "NWHC"}}', "allowed: NHWC, NCHW"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": "' + "x" * 2**20 + '"}', "larger than 1 MB"),
    ],
)
def test_a_broken_model_json_fails_its_model_alone(
    text: str, complaint: str, tmp_path: Path
) -> None:
    touch(tmp_path / "hub/bad/m.onnx")
    touch(tmp_path / "hub/bad/notes.txt")
    (tmp_path / "hub/bad/model.json").write_text(text)
    touch(tmp_path / "hub/good.onnx")
    bad, good = scan_models([tmp_path / "hub"])
    assert (bad.name, good.name) == ("bad", "good")
    json.dumps(bad.description)  # travels to a worker
    with pytest.raises(ModelError, match=complaint) as error:
        load_model(bad)
    assert "\n" not in str(error.value)
    assert len(behaviour_digest(bad)) == 64


def test_two_model_files_beside_a_model_json_that_names_none(tmp_path: Path) -> None:
    touch(tmp_path / "a/one.onnx")
    touch(tmp_path / "a/two.onnx")
    describe(tmp_path / "a")
    (source,) = scan_models([tmp_path])
    with pytest.raises(ModelError, match="2 model files are beside it"):
        load_model(source)


def test_file_through_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/m.onnx").symlink_to(touch(tmp_path / "outside.onnx"))
    describe(tmp_path / "a", file="m.onnx")
    with pytest.raises(ModelError, match="not inside"):
        load_model(scan_models([tmp_path / "a"])[0])


def test_what_cannot_be_scanned(tmp_path: Path) -> None:
    touch(tmp_path / "empty/readme.md")
    for path, complaint in [
        (tmp_path / "nowhere", "no such model file or folder"),
        (tmp_path / "empty", r"files ending in .*\.onnx.*\.safetensors.*\.tflite"),
        (tmp_path / "empty/readme.md", "known endings"),
        (Path("hf:org/name"), "add it to one of yours first"),
        (Path("timm:resnet18"), "add it to one of yours first"),
    ]:
        with pytest.raises(UsageError, match=complaint):
            scan_models([path])


def test_the_order_is_that_of_the_paths_whatever_the_disk_says(tmp_path: Path) -> None:
    for name in ("m", "a", "z"):
        touch(tmp_path / f"one/{name}.onnx")
    before = names(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert names(tmp_path / "two") == before == ["a", "m", "z"]


def write_shards(folder: Path, key: str, count: int = 3) -> Path:
    """Shards of the weights of a network, and their index, which is returned."""
    folder.mkdir(parents=True)
    weights = seeded_weights(shapes_of(key))
    placed = {}
    for number in range(count):
        name = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = {key: weights[key] for key in list(weights)[number::count]}
        placed |= dict.fromkeys(part, name)
        save_file(part, folder / name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return index


def test_shards_with_their_index_are_one_model(tmp_path: Path) -> None:
    index = write_shards(tmp_path / "hub" / "lenet", "cifar/tutorial_lenet")
    (index.parent / "labels.txt").write_text("\n".join(f"class {n}" for n in range(1000)))
    found = scan_paths([tmp_path / "hub"])
    assert [(source.name, source.file) for source in found.models] == [("lenet", index)]
    assert (found.files.seen, found.files.passed_over, found.not_read) == (5, {}, ())
    model = load_model(found.models[0])
    whole = load_model(scan_models([write_network("cifar/tutorial_lenet", tmp_path)])[0])
    pixels = np.random.default_rng(0).integers(0, 256, (3, *model.spec.input.pixels.shape), "uint8")
    assert np.array_equal(model.logits(pixels), whole.logits(pixels))
    assert model.spec.labels[:2] == ("class 0", "class 1")
    before = behaviour_digest(found.models[0])
    last = index.parent / "model-00003-of-00003.safetensors"
    last.write_bytes(last.read_bytes()[:-1] + b"\x01")
    assert behaviour_digest(found.models[0]) != before
    last.unlink()
    with pytest.raises(ModelError, match="download all shards beside the index"):
        load_model(found.models[0])


def test_a_whole_file_is_preferred_to_its_shards(tmp_path: Path) -> None:
    index = write_shards(tmp_path / "hub", "cifar/tutorial_lenet")
    write_network("cifar/tutorial_lenet", index.parent, "model.safetensors")
    found = scan_paths([index.parent])
    assert [source.file.name for source in found.models] == ["model.safetensors"]
    assert (found.files.seen, found.not_read) == (5, ())


def test_shards_without_their_index_are_named(tmp_path: Path) -> None:
    index = write_shards(tmp_path / "hub", "cifar/tutorial_lenet")
    index.unlink()
    write_network("cifar/tutorial_lenet", index.parent, "other.safetensors")
    (item,) = scan_paths([index.parent]).not_read
    assert Path(item.file).name == "model-00001-of-00003.safetensors"


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    file = touch(tmp_path / "converted_keras.zip")
    with pytest.raises(
        UsageError, match=r"not a model file; 1 \.zip: unpack it if a model is in it"
    ):
        scan_models([file])
