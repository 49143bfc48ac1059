"""Networks of several families as timm itself saves them: the same logits from the same picture."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lagotto
from lagotto.core.images import to_pixels
from lagotto.models.architectures.skeletons import skeleton_keys
from lagotto.models.classifier import ModelClassifier
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model

torch = pytest.importorskip("torch", reason="torch is not installed (extra `timm`)")
timm = pytest.importorskip("timm", reason="timm cannot be imported", exc_type=ImportError)

CLASSES = 5
FAMILIES: dict[str, dict[str, Any]] = {
    "resnet10t": {},
    "vit_tiny_patch16_224": {"depth": 2, "img_size": 64},
    "convnext_atto": {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
    "mobilenetv3_small_050": {},
    "test_efficientnet": {},
    "test_byobnet": {},
    "deit_tiny_distilled_patch16_224": {"depth": 2, "img_size": 64},
}


def saved(architecture: str, folder: Path) -> tuple[Any, Path]:
    """A network with random weights, and the folder in which timm has saved it."""
    from timm.models._hub import save_for_hf

    arguments = FAMILIES[architecture]
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=CLASSES, **arguments).eval()
    edge = arguments.get("img_size", 96)
    told = {"input_size": (3, edge, edge), "crop_pct": edge / (edge + 8)}  # no half pixel is cut
    config = {"label_names": list("abcde"), "pretrained_cfg": told}
    changed = {**network.pretrained_cfg, **told}
    save_for_hf(
        network,
        str(folder),
        model_config={**config, "pretrained_cfg": changed},
        model_args=arguments,
        safe_serialization=True,
    )
    shutil.rmtree(folder / "pytorch_model.bin", ignore_errors=True)
    return network, folder


@pytest.mark.parametrize("architecture", sorted(FAMILIES))
def test_logits_and_preprocessing_are_those_of_timm(architecture: str, tmp_path: Path) -> None:
    network, folder = saved(architecture, tmp_path / "m")
    (source,) = scan_models([folder])
    model = load_model(source)
    assert (model.spec.framework, model.spec.labels) == ("timm", tuple("abcde"))
    noise = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((180, 120), Image.Resampling.BICUBIC)
    edge = model.spec.input.pixels.height
    told = {"input_size": (3, edge, edge), "crop_pct": edge / (edge + 8)}
    settings = {**network.pretrained_cfg, **told}
    transform = timm.data.create_transform(
        **timm.data.resolve_data_config(settings, use_test_size=False), is_training=False
    )
    with torch.inference_mode():
        expected = network(transform(picture)[None]).numpy()
    pixels = to_pixels(picture, model.spec.input.pixels)[None]
    given = model.logits(pixels)
    scale = max(1.0, float(np.abs(expected).max()))
    assert np.abs(given - expected).max() < 0.02 * scale  # a rounded pixel here and there
    assert np.corrcoef(given[0], expected[0])[0, 1] > 0.999


@pytest.mark.parametrize("architecture", ["lcnet_050", "efficientvit_m0", "pit_ti_224"])
def test_a_checkpoint_without_a_graph_is_run_by_timm(architecture: str, tmp_path: Path) -> None:
    assert f"timm/{architecture}" not in skeleton_keys()
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=CLASSES).eval()
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    told = {"state_dict": weights, "classes": list("abcde"), "epoch": 3}
    torch.save(told, tmp_path / "best.pth")
    (source,) = scan_models([tmp_path / "best.pth"])
    model = load_model(source)
    assert isinstance(model, ModelClassifier)
    spec = model.spec
    assert (spec.framework, spec.architecture, spec.labels) == (
        "timm",
        architecture,
        tuple("abcde"),
    )
    noise = np.random.default_rng(0).integers(0, 256, (2, *spec.input.pixels.shape), np.uint8)
    fed = np.concatenate([model.prepared(noise[at : at + 1], spec.input)[:1] for at in (0, 1)])
    with torch.inference_mode():
        expected = network(torch.from_numpy(fed)).numpy()
    assert np.abs(model.logits(noise) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_saved_network_is_opened_in_a_worker(tmp_path: Path) -> None:
    _, folder = saved("resnet10t", tmp_path / "m")
    (found,) = lagotto.inspect(folder, limits=lagotto.Limits(workers=1)).models
    assert (found.failure, found.framework, found.outputs) == ("", "timm", CLASSES)
