"""A small network of open_clip with random weights: the embeddings are those of open_clip."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lagotto.core.errors import EncoderError
from lagotto.core.images import to_pixels
from lagotto.encoders.base import Encoder

torch = pytest.importorskip("torch", reason="torch is not installed (extra `open-clip`)")
open_clip = pytest.importorskip(
    "open_clip", reason="open_clip cannot be imported", exc_type=ImportError
)
save_file = pytest.importorskip("safetensors.torch").save_file
OpenClipEncoder = pytest.importorskip("lagotto.encoders.open_clip").OpenClipEncoder

ARCH = "lagotto-tiny"
CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The network and the folder with its weights."""
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "configs").mkdir()
    (folder / "configs" / f"{ARCH}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / "configs")
    torch.manual_seed(0)
    network = open_clip.create_model(ARCH, pretrained=None, device="cpu").eval()
    weights = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return network, folder


@pytest.fixture(scope="module")
def encoder(made: tuple[Any, Path]) -> Encoder:
    opened: Encoder = OpenClipEncoder(made[1], ARCH, "none")
    return opened


def test_it_is_an_encoder_with_a_fingerprint_of_its_weights(
    encoder: Encoder, made: tuple[Any, Path], tmp_path: Path
) -> None:
    assert isinstance(encoder, Encoder)
    assert (encoder.info.dim, encoder.info.context_length) == (24, 77)
    assert encoder.info.name == f"{ARCH}/none"
    again = OpenClipEncoder(made[1], ARCH, "none")
    assert again.info == encoder.info


def test_embeddings_of_pictures_are_those_of_open_clip(
    encoder: Encoder, made: tuple[Any, Path]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((140, 90), Image.Resampling.BICUBIC)
    transform = open_clip.image_transform(48, is_train=False)
    with torch.inference_mode():
        rows = made[0].encode_image(transform(picture)[None], normalize=True).numpy()
    given = encoder.embed_pixels(to_pixels(picture, encoder.info.pixels)[None])
    assert (given @ rows.T).item() > 0.9999


def test_embeddings_of_texts_are_those_of_open_clip(
    encoder: Encoder, made: tuple[Any, Path]
) -> None:
    texts = ["a photo of a dog.", "", "ünïcode 🐶", "a very long text " * 60]
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer(ARCH)(texts)
        rows = made[0].encode_text(tokens, normalize=True).numpy()
    given = encoder.embed_texts(texts)
    np.testing.assert_allclose(given, rows, atol=1e-5)
    counts = encoder.token_counts(texts)
    assert counts[:2] == [8, 2]
    assert counts[3] > 77
    assert encoder.embed_texts([]).shape == (0, 24)


def test_weights_of_another_network_are_refused(made: tuple[Any, Path], tmp_path: Path) -> None:
    save_file({"logit_scale": torch.zeros(())}, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(EncoderError, match=r"cannot be loaded") as error:
        OpenClipEncoder(tmp_path, ARCH, "none")
    assert "\n" not in str(error.value)
