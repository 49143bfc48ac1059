"""Files of weights give the logits of torch, which are stored, without torch."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import save_file

from lagotto.core.errors import ModelError
from lagotto.core.types import ModelSource
from lagotto.models.architectures.assembly import filled_graph
from lagotto.models.architectures.fingerprint import Shape
from lagotto.models.architectures.skeletons import read_skeleton
from lagotto.models.architectures.translate import assemble_checkpoint
from lagotto.models.assembled import AssembledModel, LibraryNetwork
from lagotto.models.classifier import ModelClassifier
from lagotto.models.registry import load_model
from network_files import (
    GOLDEN_FILE,
    GOLDEN_KEYS,
    KEPT,
    golden_pictures,
    shapes_of,
    write_network,
)
from seeded_weights import seeded_weights

RESNET20 = "cifar/akamaster_resnet20"


def load(file: Path) -> ModelClassifier:
    model = load_model(ModelSource("best", file))
    assert isinstance(model, ModelClassifier)
    return model


def save(folder: Path, shapes: dict[str, Shape], half: bool = False) -> Path:
    file = folder / "best.safetensors"
    weights = seeded_weights(shapes)
    save_file({k: v.astype(np.float16) for k, v in weights.items()} if half else weights, file)
    return file


@pytest.mark.parametrize("key", GOLDEN_KEYS)
def test_the_logits_are_those_of_torch(key: str, tmp_path: Path) -> None:
    golden = np.array(json.loads(GOLDEN_FILE.read_text())[key])
    model = load(write_network(key, tmp_path))
    assert model.spec.architecture == key.partition("/")[2]
    assert model.spec.framework == "torch"
    logits = model.logits(golden_pictures(model.spec.input.pixels.shape))
    assert logits.shape == (2, model.spec.outputs)
    assert np.abs(golden[0] - golden[1]).max() > 1e-3  # the weights say something
    np.testing.assert_allclose(logits[:, :KEPT], golden, atol=1e-4 * np.abs(golden).max() + 1e-5)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    shapes = shapes_of(RESNET20)
    full = load(save(tmp_path, shapes))
    pixels = golden_pictures(full.spec.input.pixels.shape)
    whole = full.logits(pixels)
    half = load(save(tmp_path, shapes, half=True)).logits(pixels)
    assert 0 < np.abs(half - whole).max() < 0.02 * np.abs(whole).max()


def test_a_classifier_of_ones_own_is_computed(tmp_path: Path) -> None:
    """Against numpy: the features are what the network's own last layer would have taken."""
    shapes = shapes_of(RESNET20)
    identity = {**shapes, "linear.weight": (64, 64), "linear.bias": (64,)}
    weights = seeded_weights(identity)
    weights["linear.weight"], weights["linear.bias"] = (
        np.eye(64, dtype=np.float32),
        np.zeros(64, np.float32),
    )
    save_file(weights, tmp_path / "features.safetensors")
    body = load(tmp_path / "features.safetensors")
    pixels = golden_pictures(body.spec.input.pixels.shape)
    features = body.logits(pixels).astype(np.float64)

    own: dict[str, Shape] = {
        "linear.0.weight": (16, 64),
        "linear.0.bias": (16,),
        "linear.1.weight": (16,),
        "linear.1.bias": (16,),
        "linear.1.running_mean": (16,),
        "linear.1.running_var": (16,),
        "linear.4.weight": (3, 16),
    }
    head = seeded_weights(own, seed=1)
    kept = {name: value for name, value in weights.items() if not name.startswith("linear")}
    save_file({**kept, **head}, tmp_path / "own.safetensors")
    model = load(tmp_path / "own.safetensors")
    hidden = features @ head["linear.0.weight"].T + head["linear.0.bias"]
    scale = head["linear.1.weight"] / np.sqrt(head["linear.1.running_var"] + 1e-5)
    hidden = (hidden - head["linear.1.running_mean"]) * scale + head["linear.1.bias"]
    expected = np.maximum(hidden, 0) @ head["linear.4.weight"].T
    np.testing.assert_allclose(model.logits(pixels), expected, rtol=1e-4, atol=1e-5)
    assert any("ReLU assumed" in note for note in model.spec.notes)


def test_the_architecture_says_how_it_is_usually_fed(tmp_path: Path) -> None:
    model = load(write_network("torchvision/resnet18", tmp_path))
    spec = model.spec.input
    assert spec.pixels.shape == (224, 224, 3)
    assert spec.pixels.crop_fraction == pytest.approx(0.875)
    assert spec.mean == (0.485, 0.456, 0.406)
    origins = {item.field: item.origin for item in model.spec.decisions}
    assert origins == {
        "size": "architecture",
        "layout": "file",
        "channels": "assumed",
        "scale": "architecture",
        "resize": "architecture",
    }


def test_model_json_overrules_it(tmp_path: Path) -> None:
    file = write_network("torchvision/resnet18", tmp_path)
    described = {"input": {"size": 96, "scale": "-1..1", "channels": "BGR"}}
    model = load_model(ModelSource("best", file, described))
    assert model.spec.input.pixels.shape == (96, 96, 3)
    assert model.spec.input.scale == "-1..1"
    assert model.spec.input.mean == ()


def test_grey_pictures(tmp_path: Path) -> None:
    shapes = shapes_of("torchvision/resnet18") | {"conv1.weight": (64, 1, 7, 7)}
    model = load(save(tmp_path, shapes))
    assert model.spec.input.channels == "L"
    assert model.spec.input.mean == (0.456,)


def test_pictures_of_four_channels_are_refused(tmp_path: Path) -> None:
    shapes = shapes_of("torchvision/resnet18") | {"conv1.weight": (64, 4, 7, 7)}
    with pytest.raises(ModelError, match="a resnet18 for pictures of 4 channels; allowed are 1"):
        load(save(tmp_path, shapes))


def test_the_embedding_of_positions_tells_the_size(tmp_path: Path) -> None:
    shapes = shapes_of("timm/vit_tiny_patch16_224") | {"pos_embed": (1, 37, 192)}
    model = load(save(tmp_path, shapes))
    assert model.spec.input.pixels.shape == (96, 96, 3)


def test_pictures_that_are_not_square_need_their_size(tmp_path: Path) -> None:
    """24 patches and one more position are no 25 patches."""
    shapes = shapes_of("timm/vit_tiny_patch16_224") | {"pos_embed": (1, 25, 192)}
    file = save(tmp_path, shapes)
    with pytest.raises(ModelError, match="positions for 24 patches, which are those of no square"):
        load(file)
    described = ModelSource("best", file, {"input": {"size": [64, 96]}})
    assert load_model(described).spec.input.pixels.shape == (64, 96, 3)


def test_networks_with_adaptive_pooling_take_any_size(tmp_path: Path) -> None:
    """A narrow VGG at odd sizes, against torch, whose cells overlap."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
    functional: Any = importlib.import_module("torch.nn.functional")
    skeleton = read_skeleton("torchvision/vgg11")
    assert skeleton.is_open
    weights = seeded_weights(_narrow(shapes_of("torchvision/vgg11")))
    data, named = filled_graph(skeleton, weights, 3)
    options = onnxruntime.SessionOptions()
    arrays = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in named.values()]
    options.add_external_initializers(list(named), arrays)
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    for size in ((64, 64), (230, 171), (240, 256)):
        pictures = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 3, *size))).float()
        maps = pictures
        for layer, pooled in zip(_VGG11, _POOLED, strict=True):
            given = (tensors[f"features.{layer}.{part}"] for part in ("weight", "bias"))
            maps = functional.conv2d(maps, *given, padding=1).relu()
            maps = functional.max_pool2d(maps, 2) if pooled else maps
        values = functional.adaptive_avg_pool2d(maps, 7).flatten(1)
        for layer in (0, 3, 6):
            given = (tensors[f"classifier.{layer}.{part}"] for part in ("weight", "bias"))
            values = functional.linear(values if layer == 0 else values.relu(), *given)
        (logits,) = session.run(None, {"input": pictures.numpy()})
        expected = values.numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


_VGG11 = (0, 3, 6, 8, 11, 13, 16, 18)
_POOLED = (True, True, False, True, False, True, False, True)


def _narrow(shapes: dict[str, Shape]) -> dict[str, Shape]:
    """The shapes of a network with 4 channels in each layer."""
    fewer = {3: 3, 25088: 4 * 49}
    return {
        name: tuple(fewer.get(size, 4) for size in shape[:2]) + shape[2:]
        for name, shape in shapes.items()
    }


def test_a_classifier_for_other_features_is_refused(tmp_path: Path) -> None:
    shapes = shapes_of(RESNET20)
    del shapes["linear.weight"], shapes["linear.bias"]
    with pytest.raises(ModelError, match="takes 128 values; the network gives 64"):
        load(save(tmp_path, {**shapes, "fc.0.weight": (5, 128), "fc.0.bias": (5,)}))


def test_a_config_of_a_training_is_none_of_transformers(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-500"
    folder.mkdir()
    file = write_network("torchvision/mnasnet0_5", folder, "model.safetensors")
    names = {str(at): f"class {at}" for at in range(1_000)}
    (folder / "config.json").write_text(json.dumps({"lr": 0.1, "id2label": names}))
    spec = load_model(ModelSource("best", file)).spec
    assert (spec.architecture, spec.framework) == ("mnasnet0_5", "torch")
    assert spec.labels is not None
    assert spec.labels[3] == "class 3"
    assert spec.labels_origin == "config.json"


def test_a_size_that_a_graph_does_not_take_is_left_to_timm(tmp_path: Path) -> None:
    shapes = shapes_of("timm/swin_tiny_patch4_window7_224")
    file = tmp_path / "best.safetensors"
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, file)
    found = assemble_checkpoint(ModelSource("best", file, {"input": {"size": [256, 256]}}))
    assert isinstance(found, LibraryNetwork)
    assert (found.name, found.size) == ("swin_tiny_patch4_window7_224", (256, 256))
    usual = assemble_checkpoint(ModelSource("best", file))
    assert isinstance(usual, AssembledModel)
