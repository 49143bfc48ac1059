"""Encoders as they are shared: in every layout the same encoder, in a folder and on the hub."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from encoder_makers import CLIP_PICTURES, EDGE, Form, write_encoder, write_json
from hub_stub import Repository, StubHub
from lagotto.core.errors import EncoderError, SourceError
from lagotto.encoders.layout import find_graphs, find_settings
from lagotto.encoders.registry import load_encoder

OPEN_CLIP = {
    "size": [EDGE, EDGE],
    "mode": "RGB",
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


def move(folder: Path, **places: str) -> None:
    """Moves files of a folder; keys are stems, values the new places."""
    for stem, place in places.items():
        (source,) = folder.glob(f"{stem}.*")
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


def two_folders(folder: Path) -> None:
    """A folder a tower, as photo managers share their encoders."""
    move(
        folder,
        vision_model="visual/model.onnx",
        text_model="textual/model.onnx",
        tokenizer="textual/tokenizer.json",
        tokenizer_config="textual/tokenizer_config.json",
    )
    (folder / "preprocessor_config.json").unlink()
    write_json(folder / "visual" / "preprocess_cfg.json", OPEN_CLIP)
    write_json(folder / "config.json", {"embed_dim": 6, "text_cfg": {"context_length": 12}})


def quantised_names(folder: Path) -> None:
    move(
        folder,
        vision_model="onnx/vision_model_quantized.onnx",
        text_model="onnx/text_model_quantized.onnx",
    )


def mixed_precisions(folder: Path) -> None:
    move(folder, vision_model="onnx/vision_model_fp16.onnx", text_model="onnx/text_model_int8.onnx")


def exact_beside_quantised(folder: Path) -> None:
    """The exact pair is taken, not the one of lower precision; nor a tower alone elsewhere."""
    for tower in ("vision_model", "text_model"):
        (folder / f"{tower}_quantized.onnx").write_bytes(b"never read")
    move(folder, vision_model="onnx/vision_model.onnx", text_model="onnx/text_model.onnx")
    (folder / "vision_model.onnx").write_bytes(b"never read")


def encoders_by_name(folder: Path) -> None:
    move(folder, vision_model="image_encoder.onnx", text_model="text_encoder.onnx")


def open_clip_settings_only(folder: Path) -> None:
    """The file of transformers says nothing, that of open_clip says all."""
    write_json(folder / "preprocessor_config.json", {})
    said = {key: OPEN_CLIP[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    write_json(
        folder / "open_clip_config.json",
        {"preprocess_cfg": said, "model_cfg": {"vision_cfg": {"image_size": EDGE}}},
    )


def open_clip_config_alone(folder: Path) -> None:
    open_clip_settings_only(folder)
    (folder / "config.json").unlink()
    (folder / "preprocessor_config.json").unlink()
    told = json.loads((folder / "open_clip_config.json").read_text())
    told["model_cfg"]["text_cfg"] = {"context_length": 12}
    write_json(folder / "open_clip_config.json", told)
    (folder / "tokenizer_config.json").write_text('{"pad_token": "[PAD]"}')


LAYOUTS = (
    *(two_folders, quantised_names, mixed_precisions, exact_beside_quantised, encoders_by_name),
    *(open_clip_settings_only, open_clip_config_alone),
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_is_the_same_encoder_here_and_on_the_hub(
    layout: Callable[[Path], None], stub: StubHub, tmp_path: Path
) -> None:
    usual = load_encoder(str(write_encoder(tmp_path / "usual")), 1)
    folder = write_encoder(tmp_path / "tiny")
    layout(folder)
    stub.repositories["org/tiny"] = Repository(
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
    )
    for spec in (str(folder), "hf:org/tiny"):
        encoder = load_encoder(spec, 1)
        assert encoder.info.fingerprint == usual.info.fingerprint
        assert encoder.info.pixels == usual.info.pixels
        assert (
            encoder.embed_texts(["red dog"]).tobytes() == usual.embed_texts(["red dog"]).tobytes()
        )


def rename(file: Path, **names: str) -> None:
    """Renames inputs and outputs of a graph."""
    model = onnx.load(file)
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    onnx.save(model, file)


@pytest.mark.parametrize(
    ("image", "text", "embeddings"),
    [
        ("image", "text", ("image_features", "text_features")),
        ("image", "text", ("embedding", "embedding")),
        ("images", "tokens", ("image_embedding", "text_embedding")),
        ("input", "input", ("output", "output")),
    ],
)
def test_inputs_and_outputs_under_the_names_of_other_exporters(
    image: str, text: str, embeddings: tuple[str, str], tmp_path: Path
) -> None:
    usual = load_encoder(str(write_encoder(tmp_path / "usual", Form(mask=False))), 1)
    folder = write_encoder(tmp_path / "tiny", Form(mask=False))
    rename(folder / "vision_model.onnx", pixel_values=image, image_embeds=embeddings[0])
    rename(folder / "text_model.onnx", input_ids=text, text_embeds=embeddings[1])
    encoder = load_encoder(str(folder), 1)
    pixels = np.random.default_rng(0).integers(0, 256, (2, EDGE, EDGE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(encoder.embed_pixels(pixels), usual.embed_pixels(pixels))
    np.testing.assert_array_equal(encoder.embed_texts(["dog"]), usual.embed_texts(["dog"]))


def test_an_unnamed_output_beside_another_is_not_guessed(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    rename(folder / "vision_model.onnx", image_embeds="output")
    load_encoder(str(folder), 1)
    model = onnx.load(folder / "vision_model.onnx")
    model.graph.node.append(onnx.helper.make_node("Identity", ["output"], ["other"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("other", 1, None))
    onnx.save(model, folder / "vision_model.onnx")
    with pytest.raises(
        EncoderError, match=r"no output is the vision embedding; it has output, other"
    ):
        load_encoder(str(folder), 1)


def test_towers_swapped_by_name_are_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    move(folder, vision_model="kept.onnx")
    move(folder, text_model="vision_model.onnx")
    move(folder, kept="text_model.onnx")
    with pytest.raises(EncoderError, match="input 'input_ids'"):
        load_encoder(str(folder), 1)


def test_what_transformers_wrote_comes_before_what_open_clip_wrote(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    fingerprint = load_encoder(str(folder), 1).info.fingerprint
    write_json(folder / "open_clip_config.json", {"preprocess_cfg": {**OPEN_CLIP, "mean": [0] * 3}})
    assert load_encoder(str(folder), 1).info.fingerprint == fingerprint
    write_json(folder / "preprocessor_config.json", {})
    assert load_encoder(str(folder), 1).info.fingerprint != fingerprint


def test_pictures_without_any_settings_are_asked_for(tmp_path: Path, stub: StubHub) -> None:
    folder = write_encoder(tmp_path / "tiny")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match=r"has no preprocessor_config\.json"):
        load_encoder(str(folder), 1)
    write_json(folder / "processor_config.json", {"image_processor": CLIP_PICTURES})
    load_encoder(str(folder), 1)
    stub.repositories["org/half"] = Repository({"onnx/vision_model_quantized.onnx": b"x"})
    with pytest.raises(SourceError, match=r"onnx/vision_model_quantized\.onnx"):
        load_encoder("hf:org/half", 1)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["model.onnx", "vision_model_fp16.onnx", "text_model_fp16.onnx"], ("model.onnx",) * 2),
        (
            ["onnx/model_quantized.onnx", "onnx/vision_model_q4.onnx", "onnx/text_model_q4.onnx"],
            ("onnx/vision_model_q4.onnx", "onnx/text_model_q4.onnx"),
        ),
        (
            ["text_model_q4.onnx", "vision_model_q4.onnx", "text_model_fp16.onnx"],
            ("vision_model_q4.onnx", "text_model_q4.onnx"),
        ),
        (["vision_model.onnx", "onnx/text_model.onnx"], None),
        (["text_encoder.onnx", "vision_model.onnx"], None),
        ([], None),
    ],
)
def test_which_graphs_are_taken(names: list[str], expected: tuple[str, str] | None) -> None:
    assert find_graphs(names) == expected


def test_settings_of_the_folder_come_before_those_of_its_folders() -> None:
    names = ["tokenizer.json", "textual/tokenizer.json", "onnx/config.json", "deep/er/config.json"]
    assert find_settings(names) == {"tokenizer": "tokenizer.json"}
