"""Saved timm models against timm itself; skipped, saying why, where timm cannot be imported."""

import json
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.errors import MissingExtraError, ModelError
from lagotto.models.base import Model
from lagotto.models.metadata.pretrained import library_of
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model

EDGE, LABELS = 64, tuple("abcdefg")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def config(**changes: object) -> dict[str, object]:
    told = {
        "input_size": [3, EDGE, EDGE],
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "crop_mode": "center",
        "mean": list(MEAN),
        "std": list(STD),
    }
    return {
        "architecture": "resnet10t",
        "num_classes": len(LABELS),
        "label_names": list(LABELS),
        "pretrained_cfg": {**told, **changes},
    }


def write(folder: Path, content: dict[str, object], weights: bytes = b"x") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def timm_or_skip() -> None:
    """timm imports torchvision, which not every build of torch has a match for."""
    pytest.importorskip("torch", reason="torch is not installed (extra `timm`)")
    pytest.importorskip("timm", reason="timm cannot be imported", exc_type=ImportError)


def test_its_config_says_that_timm_made_it() -> None:
    assert library_of(config()) == "timm"
    assert library_of({"model_type": "vit"}) == "transformers"


def test_without_timm_the_extra_is_named(tmp_path: Path) -> None:
    import importlib.util

    if importlib.util.find_spec("timm") is not None:
        pytest.skip("timm is installed")
    (source,) = scan_models([write(tmp_path / "m", config())])
    if importlib.util.find_spec("torch") is None:
        return
    with pytest.raises(MissingExtraError, match=r"pip install 'lagotto\[timm\]'"):
        load_model(source)


def test_logits_are_those_of_timm(tmp_path: Path) -> None:
    timm_or_skip()
    import timm
    import torch
    from safetensors.torch import save

    network = timm.create_model("resnet10t", pretrained=False, num_classes=len(LABELS)).eval()
    folder = write(tmp_path / "m", config(), save(network.state_dict()))
    model = load_model(scan_models([folder])[0])
    assert isinstance(model, Model)
    assert (model.spec.framework, model.spec.labels, model.spec.notes) == ("timm", LABELS, ())
    assert model.spec.input.pixels.key == "64x64-RGB-crop-0.901408-bicubic"  # 64 / floor(64 / 0.9)
    pixels = np.random.default_rng(0).integers(0, 256, (11, EDGE, EDGE, 3), dtype=np.uint8)
    scaled = (pixels / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    with torch.no_grad():
        expected = network(torch.from_numpy(scaled.transpose(0, 3, 1, 2).copy())).numpy()
    whole = model.logits(pixels)
    assert np.abs(whole - expected).max() < 1e-4
    assert np.array_equal(model.logits(pixels[:3]), whole[:3])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (config(crop_mode="border"), "crop_mode 'border'"),
        (config(input_size=[1, 64, 64]), "input_size"),
        (config(crop_pct=3), "crop_pct"),
        ({**config(), "architecture": "no_such_net"}, "timm cannot load"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    content: dict[str, object], said: str, tmp_path: Path
) -> None:
    timm_or_skip()
    (source,) = scan_models([write(tmp_path / "m", content)])
    with pytest.raises(ModelError, match=said):
        load_model(source)
