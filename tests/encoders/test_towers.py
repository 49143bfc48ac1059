"""Which output is taken as the embedding, and which are refused as another space."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder_makers import Form, write_encoder
from lagotto.core.errors import EncoderError
from lagotto.encoders.folder import open_folder
from lagotto.encoders.registry import load_encoder
from lagotto.encoders.towers import read_tower


def refusal(folder: Path) -> str:
    with pytest.raises(EncoderError) as caught:
        load_encoder(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def hidden(text_pooling: str | None, vision_pooling: str | None) -> Form:
    config: dict[str, Any] = {"model_type": "dual"}
    for name, pooling in (("text_config", text_pooling), ("vision_config", vision_pooling)):
        config[name] = {} if pooling is None else {"pooling": pooling}
    return Form(text_output="last_hidden_state", vision_output="last_hidden_state", config=config)


@pytest.mark.parametrize("output", ["text_embeds", "text_embeddings", "sentence_embedding"])
def test_names_of_the_shared_space(output: str, tmp_path: Path) -> None:
    folder = open_folder(write_encoder(tmp_path, Form(text_output=output)))
    tower = read_tower(folder, "text")
    assert (tower.output, tower.pooling) == (output, "none")


def test_hidden_states_are_averaged_for_texts_and_first_for_pictures(tmp_path: Path) -> None:
    folder = open_folder(write_encoder(tmp_path, hidden(None, None)))
    assert read_tower(folder, "text").pooling == "mean"
    assert read_tower(folder, "vision").pooling == "cls"


def test_the_pooling_can_be_chosen(tmp_path: Path) -> None:
    first = load_encoder(str(write_encoder(tmp_path / "a", hidden("cls", "mean")))).info
    other = load_encoder(str(write_encoder(tmp_path / "b", hidden("mean", "mean")))).info
    assert first.fingerprint != other.fingerprint
    assert "pooling of text_config is 'max'" in refusal(
        write_encoder(tmp_path / "c", hidden("max", None))
    )


@pytest.mark.parametrize("output", ["pooler_output", "last_hidden_state"])
def test_what_clip_pools_is_not_yet_in_the_shared_space(output: str, tmp_path: Path) -> None:
    message = refusal(write_encoder(tmp_path, Form(text_output=output)))
    assert f"it has {output}" in message
    assert "'clip' projects what it pools" in message
    assert "text_embeds" in message


def test_siglip_pools_with_a_head_of_its_own(tmp_path: Path) -> None:
    form = Form(vision_output="last_hidden_state", config={"model_type": "siglip"})
    message = refusal(write_encoder(tmp_path, form))
    assert "image_embeds" in message
    assert "it has last_hidden_state;" in message
    assert "pooler_output; export it" in message


def test_a_pooled_output_must_have_the_promised_width(tmp_path: Path) -> None:
    pooled = {"text_output": "pooler_output", "vision_output": "pooler_output"}
    config = {"model_type": "vision-text-dual-encoder", "projection_dim": 4}
    assert "projects to 4" in refusal(write_encoder(tmp_path / "a", Form(config=config, **pooled)))
    load_encoder(
        str(write_encoder(tmp_path / "b", Form(config=config | {"projection_dim": 6}, **pooled)))
    )


def test_an_output_of_another_name_is_refused(tmp_path: Path) -> None:
    message = refusal(write_encoder(tmp_path, Form(vision_output="logits", config={})))
    assert "it has logits" in message
    assert "image_embeds" in message


def test_towers_of_different_width_are_refused(tmp_path: Path) -> None:
    message = refusal(write_encoder(tmp_path, Form(text_width=7)))
    assert "width 6" in message
    assert "has 7" in message


def test_towers_of_different_width_are_refused_when_only_a_run_shows_it(tmp_path: Path) -> None:
    encoder = load_encoder(str(write_encoder(tmp_path, Form(text_width=7, stated_width=False))))
    with pytest.raises(EncoderError, match="have width 6, but its space has 7"):
        encoder.embed_pixels(np.zeros((1, *encoder.info.pixels.shape), np.uint8))


def test_towers_given_the_wrong_way_round_are_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    (folder / "vision_model.onnx").rename(folder / "kept")
    (folder / "text_model.onnx").rename(folder / "vision_model.onnx")
    (folder / "kept").rename(folder / "text_model.onnx")
    assert "is not one of pixel_values" in refusal(folder)


def test_a_joint_graph_without_pictures_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    (folder / "vision_model.onnx").unlink()
    (folder / "text_model.onnx").rename(folder / "model.onnx")
    assert "no input 'pixel_values'" in refusal(folder)
