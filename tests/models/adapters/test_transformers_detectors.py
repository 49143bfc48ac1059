"""Detectors and segmenters that transformers saved; skipped where torch is absent."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagotto.core.errors import ModelError
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model

torch = pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
makers: Any = importlib.import_module("saved_makers")
PIXELS = np.random.default_rng(2).integers(0, 256, (3, makers.EDGE, makers.EDGE, 3), dtype=np.uint8)


def outputs(folder: Path, network: Any, name: str) -> np.ndarray:
    """[pictures, ...] of the library's own network on pictures that are already of its size."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    loaded = network.from_pretrained(folder).eval()
    with torch.inference_mode():
        made = processor(images=list(PIXELS), return_tensors="pt", do_resize=False)
        values: np.ndarray = loaded(pixel_values=made["pixel_values"])[name].numpy()
    return values


def load(folder: Path) -> Any:
    (source,) = scan_models([folder])
    return load_model(source)


def test_a_detector_without_its_no_object(tmp_path: Path) -> None:
    folder = makers.write_yolos(tmp_path / "yolos")
    model = load(folder)
    theirs = outputs(folder, transformers.AutoModelForObjectDetection, "logits")
    assert theirs.shape[2] == makers.CLASSES + 1
    assert np.abs(model.logits(PIXELS) - theirs[..., :-1].max(axis=1)).max() < 1e-4
    assert (model.spec.kind, model.spec.labels) == ("detector", makers.LABELS)
    assert model.spec.notes[-1].startswith("a detector: one value a class, the highest of 7 boxes")


def test_a_segmenter(tmp_path: Path) -> None:
    folder = makers.write_segformer(tmp_path / "segformer")
    model = load(folder)
    theirs = outputs(folder, transformers.AutoModelForSemanticSegmentation, "logits")
    assert np.abs(model.logits(PIXELS) - theirs.max(axis=(2, 3))).max() < 1e-4
    assert (model.spec.kind, model.spec.labels) == ("segmenter", makers.LABELS)
    assert model.spec.input.pixels.resize == "stretch"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("DPTForDepthEstimation", "a depth model"),
        ("Swin2SRForImageSuperResolution", "it makes pictures"),
        ("ViTMAEForPreTraining", "before it was trained for classes"),
        ("OwlViTForZeroShotObjectDetection", "texts beside the picture"),
        ("Mask2FormerForUniversalSegmentation", "masks by queries"),
        ("VitPoseForPoseEstimation", "keypoints"),
    ],
)
def test_networks_without_classes_are_refused_by_name(
    name: str, reason: str, tmp_path: Path
) -> None:
    folder = makers.write_vit(tmp_path / "vit")
    makers.rewrite_json(folder / "config.json", architectures=[name])
    with pytest.raises(ModelError, match=f"config.json says {name}: .*{reason}"):
        load(folder)
