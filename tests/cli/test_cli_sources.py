"""Saved transformers models and a CLIP from a (stub) hub: added, searched, used to classify."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import encoder_makers
from command_line import lagotto
from hub_stub import Repository, StubHub
from lagotto.hub.hub import Hub

MODELS = ("vit", "convnext", "resnet")


def repository(folder: Path) -> Repository:
    return Repository({path.name: path.read_bytes() for path in sorted(folder.iterdir())})


def test_saved_models_are_added_searched_and_classify(stub: StubHub, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
    pytest.importorskip("transformers", reason="transformers is not installed")
    makers: Any = importlib.import_module("saved_makers")
    folders = {name: makers.FORMS[name](tmp_path / name) for name in MODELS}
    clip = encoder_makers.write_tiny_clip(tmp_path / "clip")
    stub.repositories |= {f"org/{name}": repository(folder) for name, folder in folders.items()}
    stub.repositories["org/clip"] = repository(clip)
    stub.repositories["org/clip"].task = "zero-shot-image-classification"
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for number in range(8):
        shape = (int(random.integers(20, 60)), int(random.integers(20, 60)), 3)
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(
            photos / f"{number}.png"
        )
    hub = str(tmp_path / "hub")
    made = lagotto("hub", "create", hub, "--probes", str(photos), "--encoder", "hf:org/clip")
    assert made.code == 0, made
    added = lagotto("hub", "add", hub, "hf-search:author=org", "--workers", "1", "--json")
    assert sorted(added.json["done"]) == ["org/convnext", "org/resnet", "org/vit"], added
    opened = Hub.open(hub)
    pictures = [Image.open(photos / Path(probe.source).name) for probe in opened.probes]
    for name in MODELS:
        expected = makers.library_logits(folders[name], pictures)
        assert np.abs(opened.responses(f"org/{name}") - expected).max() < 1e-4
        assert opened.labels(f"org/{name}") == makers.LABELS
    by_text = lagotto("search", hub, "dog", "--k", "5", "--json").json["hits"]
    assert {hit["model"] for hit in by_text} <= {f"org/{name}" for name in MODELS}
    by_logit = lagotto("search", hub, "--logit", "org/vit:1", "--k", "5", "--json")
    assert len(by_logit.json["hits"]) == 10
    picture = str(photos / "0.png")
    answers = [
        lagotto("classify", picture, "--labels", "cat,dog", "--encoder", encoder, "--json").json
        for encoder in ("hf:org/clip", str(clip))
    ]
    ours, local = (answer["images"][0]["probabilities"] for answer in answers)
    assert ours == local
    assert abs(sum(ours) - 1) < 1e-6
