"""The ONNX adapter beside what it shares with others: loading, failing, and a plain reference."""

import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from tokenizers import Tokenizer

from encoder_makers import DIM, EDGE, Form, write_encoder, write_json
from lagotto.core.errors import EncoderError
from lagotto.encoders.registry import load_encoder


def damage(file: Path, value: float) -> None:
    """Every float weight of a graph becomes `value`."""
    model = onnx.load(file)
    for weight in model.graph.initializer:
        array = onnx.numpy_helper.to_array(weight)
        if array.dtype == np.float32:
            changed = np.full_like(array, value)
            weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))
    onnx.save(model, file)


def black(count: int) -> np.ndarray:
    return np.zeros((count, EDGE, EDGE, 3), np.uint8)


def test_both_towers_are_those_of_a_plain_run(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    encoder = load_encoder(str(folder))
    pixels = np.random.default_rng(3).integers(0, 256, (3, EDGE, EDGE, 3), dtype=np.uint8)
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    planes = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = np.array([tokenizer.encode("red dog in water").ids])
    for file, feed, found in (
        ("vision_model.onnx", {"pixel_values": planes}, encoder.embed_pixels(pixels)),
        (
            "text_model.onnx",
            {"input_ids": ids, "attention_mask": np.ones_like(ids)},
            encoder.embed_texts(["red dog in water"]),
        ),
    ):
        (expected,) = onnxruntime.InferenceSession(folder / file).run(None, feed)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_texts_do_not_load_the_image_tower(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    encoder = load_encoder(str(folder))
    (folder / "vision_model.onnx").unlink()
    assert encoder.embed_texts(["dog"]).shape == (1, DIM)
    with pytest.raises(EncoderError, match=r"vision_model\.onnx: onnxruntime cannot run it"):
        encoder.embed_pixels(black(1))


def test_pictures_do_not_load_the_text_tower(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    encoder = load_encoder(str(folder))
    (folder / "text_model.onnx").unlink()
    assert encoder.embed_pixels(black(2)).shape == (2, DIM)


def test_what_onnxruntime_remarks_is_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_encoder(tmp_path)
    model = onnx.load(folder / "text_model.onnx")
    unused = onnx.numpy_helper.from_array(np.ones(3, np.float32), "unused")
    model.graph.initializer.append(unused)
    onnx.save(model, folder / "text_model.onnx")
    load_encoder(str(folder)).embed_texts(["dog"])
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_onnxruntime_refuses_is_one_line(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    model = onnx.load(folder / "text_model.onnx")
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, folder / "text_model.onnx")
    encoder = load_encoder(str(folder))
    with pytest.raises(EncoderError, match="NoSuchOperator") as caught:
        encoder.embed_texts(["dog"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_embeddings_without_direction_are_an_error(value: float, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    damage(folder / "vision_model.onnx", value)
    damage(folder / "text_model.onnx", value)
    encoder = load_encoder(str(folder))
    with pytest.raises(EncoderError, match="zero or non-finite embedding for text 1 of 2"):
        encoder.embed_texts(["dog", "cat"])
    with pytest.raises(EncoderError, match="embedding for picture 1 of 3"):
        encoder.embed_pixels(black(3) + np.uint8(1))


def test_pictures_of_another_size_than_the_graph_are_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    write_json(folder / "preprocessor_config.json", {})
    with pytest.raises(EncoderError, match=r"makes \(3, 224, 224\)"):
        load_encoder(str(folder))


def test_an_output_of_another_rank_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(
        tmp_path, Form(vision_output="last_hidden_state", config={"model_type": "dual"})
    )
    model = onnx.load(folder / "vision_model.onnx")
    model.graph.output[0].name = model.graph.node[-1].output[0] = "image_embeds"
    onnx.save(model, folder / "vision_model.onnx")
    encoder = load_encoder(str(folder))
    with pytest.raises(EncoderError, match="2 axes are needed"):
        encoder.embed_pixels(black(1))


def test_threads_may_share_an_encoder(tmp_path: Path) -> None:
    encoder = load_encoder(str(write_encoder(tmp_path, Form())), threads=1)
    texts = ["dog", "the red duck running in grass", "dog " * 40]
    expected = encoder.embed_texts(texts)
    failures: list[str] = []

    def work() -> None:
        for _ in range(50):
            zscore = encoder.token_counts(texts)
            if zscore != [3, 8, 42]:
                failures.append(f"counted {zscore}")
            if not np.allclose(encoder.embed_texts(texts), expected, atol=1e-5):
                failures.append("embedded otherwise")

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
