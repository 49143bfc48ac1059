"""A real encoder on real photos: loads, and tells cats from dogs without having been told how."""

import json
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.images import decode_picture, to_pixels
from lagotto.encoders.registry import load_encoder

PHOTOS = 100


@pytest.mark.real
def test_zero_shot_cats_and_dogs(assets: Path) -> None:
    encoder = load_encoder(str(assets / "encoder" / "photo-lit"))
    assert encoder.info.logit_scale == 26.5
    assert encoder.info.context_length == 128
    folder = assets / "photos" / "cats-dogs"
    lines = (folder / "labels.jsonl").read_text().splitlines()[:PHOTOS]
    entries = [json.loads(line) for line in lines]
    pixels = np.stack(
        [
            to_pixels(decode_picture((folder / entry["image"]).read_bytes()), encoder.info.pixels)
            for entry in entries
        ]
    )
    names = ["cat", "dog"]
    prompts = encoder.embed_texts([encoder.info.prompt_template.format(name) for name in names])
    best = (encoder.embed_pixels(pixels) @ prompts.T).argmax(axis=1)
    right = [names[index] == entry["label"] for index, entry in zip(best, entries, strict=True)]
    assert np.mean(right) > 0.85


@pytest.mark.real
def test_rows_do_not_depend_on_their_neighbours(assets: Path) -> None:
    encoder = load_encoder(str(assets / "encoder" / "photo-lit"))
    texts = ["a photo of a dog.", "a small brown dog runs through the wet grass by a lake", "cat"]
    alone = np.concatenate([encoder.embed_texts([text]) for text in texts])
    np.testing.assert_allclose(encoder.embed_texts(texts), alone, atol=1e-5)
    assert encoder.token_counts(["dog " * 300]) == [302]
