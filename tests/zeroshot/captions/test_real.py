"""A store of real photos by a real encoder."""

import json
from pathlib import Path

import numpy as np
import pytest

from lagotto.zeroshot.captions.search import search_text
from lagotto.zeroshot.captions.sources.pairs import Pair
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.captions.store import CaptionStore

PHOTOS = 24


@pytest.mark.real
def test_the_shared_photos_have_as_many_captions_as_they_should(assets: Path) -> None:
    pairs = [
        item
        for name in ("flickr8k", "coco")
        for source in find_sources(assets / "photos" / name)
        for item in source.read()
    ]
    assert all(isinstance(item, Pair) and item.load for item in pairs)
    assert len(pairs) == 1239
    assert sum(len(item.captions) for item in pairs if isinstance(item, Pair)) == 6195


@pytest.mark.real
def test_real_photos_are_found_by_their_captions(assets: Path, tmp_path: Path) -> None:
    folder = assets / "photos" / "flickr8k"
    lines = (folder / "captions.jsonl").read_text().splitlines()[:PHOTOS]
    rows = [json.loads(line) for line in lines]
    pairs = [{**row, "image": str((folder / row["image"]).resolve())} for row in rows]
    (tmp_path / "some.jsonl").write_text("\n".join(json.dumps(row) for row in pairs))
    texts = (assets / "captions-text" / "coco-val2017.txt").read_text().splitlines()[:40]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    encoder = str(assets / "encoder" / "photo-lit")
    sources = [tmp_path / "some.jsonl", tmp_path / "texts.txt"]
    store = CaptionStore.create(tmp_path / "store", sources, encoder)
    assert store.pictures == PHOTOS
    assert store.captions == sum(len(row["captions"]) for row in rows) + len(set(texts))
    assert search_text(store, texts[3], 1).captions[0].text == texts[3]
    image = store.image_embeddings.astype(np.float32)
    text = store.text_embeddings.astype(np.float32)
    owners = store.owners(range(store.captions))
    best = (text[owners >= 0] @ image.T).argmax(axis=1)
    assert np.mean(best == owners[owners >= 0]) > 0.8
    exact = store.encoder.embed_texts(store.texts(range(40)))
    assert np.abs(exact @ image.T - text[:40] @ image.T).max() < 2e-4
