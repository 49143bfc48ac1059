"""What a folder must hold, what its settings mean, and what its fingerprint depends on."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from encoder_makers import FORMS, Form, write_encoder, write_json
from lagotto.core.errors import EncoderError
from lagotto.encoders.registry import load_encoder


def refusal(folder: Path) -> str:
    with pytest.raises(EncoderError) as caught:
        load_encoder(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 99\n"
PAGE = "<!DOCTYPE html><html><title>Sign in</title></html>"


@pytest.mark.parametrize(
    "name", ["vision_model.onnx", "tokenizer.json", "config.json", "preprocessor_config.json"]
)
@pytest.mark.parametrize(
    ("content", "named"),
    [(POINTER, "a Git LFS pointer"), (PAGE, "a saved web page"), ('{"error": "x"}', "('x')")],
)
def test_what_was_not_downloaded_is_named(
    name: str, content: str, named: str, tmp_path: Path
) -> None:
    folder = write_encoder(tmp_path / "e", FORMS["clip"])
    (folder / name).write_text(content)
    message = refusal(folder)
    assert f"{name} is " in message
    assert named in message


def fingerprint(folder: Path) -> str:
    return load_encoder(str(folder)).info.fingerprint


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text())
    write_json(file, {**content, **changes})


@pytest.mark.parametrize(
    "name",
    [
        "vision_model.onnx",
        "text_model.onnx",
        "tokenizer.json",
        "config.json",
        "preprocessor_config.json",
    ],
)
def test_a_missing_file_is_named_with_what_was_found(name: str, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    (folder / name).unlink()
    missing, _, found = refusal(folder).partition("found:")
    assert name in missing
    names = found.partition(";")[0].strip().split(", ")
    assert name not in names
    assert "tokenizer_config.json" in names


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert "found: nothing" in refusal(tmp_path)


def test_the_tokenizer_config_is_optional(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    (folder / "tokenizer_config.json").unlink()
    assert load_encoder(str(folder)).info.context_length == 77


def test_newer_exports_nest_the_image_processor(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    before = fingerprint(folder)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    write_json(folder / "processor_config.json", {"image_processor": settings})
    assert fingerprint(folder) == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_what_is_no_json_object_is_refused(name: str, content: str, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    (folder / name).write_text(content)
    assert name in refusal(folder)


def test_a_tokenizer_of_another_form_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    assert "tokenizer.json" in refusal(folder)


def test_a_pair_is_preferred_to_a_joint_graph(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    before = fingerprint(folder)
    (folder / "model.onnx").write_bytes(b"not read")
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"logit_scale": 26.5, "logit_scale_init_value": 3.0}, 26.5),
        ({"logit_scale_init_value": 2.6592}, math.exp(2.6592)),
        ({}, 100.0),
    ],
)
def test_logit_scale(config: dict[str, Any], expected: float, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny", Form(config={"model_type": "clip", **config}))
    assert load_encoder(str(folder)).info.logit_scale == pytest.approx(expected)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logit_scale", 0),
        ("logit_scale", "big"),
        ("logit_scale_init_value", "3"),
        ("prompt_template", "a photo"),
        ("prompt_template", "{} and {}"),
        ("prompt_template", 3),
    ],
)
def test_settings_out_of_range_are_named(key: str, value: Any, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    edit(folder / "config.json", **{key: value})
    assert key in refusal(folder)


def test_name_and_prompt_come_from_the_settings(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    edit(folder / "config.json", name="nose", prompt_template="an emoji of {}")
    info = load_encoder(str(folder)).info
    assert (info.name, info.prompt_template) == ("nose", "an emoji of {}")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_copy_elsewhere_has_the_same_fingerprint(form: str, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "one", FORMS[form])
    copy = shutil.copytree(folder, tmp_path / "another" / "name")
    (copy / "NOTES.txt").write_text("not part of it")
    assert fingerprint(copy) == fingerprint(folder)


@pytest.mark.parametrize("form", ["clip", "joint", "external-weights"])
def test_one_byte_of_any_weight_file_changes_the_fingerprint(form: str, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny", FORMS[form])
    before = fingerprint(folder)
    files = [*folder.rglob("*.onnx"), *folder.rglob("*.bin")]
    assert len(files) == {"clip": 2, "joint": 1, "external-weights": 4}[form]
    for file in files:
        content = bytearray(file.read_bytes())
        content[content.find(b"tiny") if file.suffix == ".onnx" else 8] ^= 1
        changed = shutil.copytree(folder, tmp_path / "changed" / file.name)
        (changed / file.relative_to(folder)).write_bytes(content)
        assert fingerprint(changed) != before


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("preprocessor_config.json", {"resample": 2}),
        ("preprocessor_config.json", {"image_mean": [0.5, 0.5, 0.5]}),
        ("preprocessor_config.json", {"size": {"shortest_edge": 9}}),
        ("preprocessor_config.json", {"rescale_factor": 0.004}),
        ("tokenizer_config.json", {"model_max_length": 11}),
        ("tokenizer_config.json", {"pad_token": "[UNK]"}),
        ("tokenizer.json", {"version": "1.0 "}),
        ("config.json", {"model_type": "siglip"}),
    ],
)
def test_what_changes_an_embedding_changes_the_fingerprint(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    folder = write_encoder(tmp_path / "tiny")
    before = fingerprint(folder)
    if name == "tokenizer.json":  # the same tokenizer in other bytes
        (folder / name).write_text((folder / name).read_text() + "\n")
    else:
        edit(folder / name, **changes)
    assert fingerprint(folder) != before


def test_what_changes_no_embedding_does_not(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    before = fingerprint(folder)
    edit(folder / "config.json", name="nose", logit_scale=3.0, torch_dtype="float32")
    edit(folder / "preprocessor_config.json", do_convert_rgb=True, do_resize=True)
    assert fingerprint(folder) == before


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny", Form(external=True))
    (folder / "text_model.bin").unlink()
    assert "'text_model.bin' are missing" in refusal(folder)


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny", Form(external=True))
    graph = folder / "text_model.onnx"
    outside = graph.read_bytes().replace(b"text_model.bin", b"../t_model.bin")
    graph.write_bytes(outside)
    (tmp_path / "t_model.bin").write_bytes(b"secret")
    assert "outside its folder" in refusal(folder)
