"""The networks that scripts hold checkpoints against: names, shapes and logits as published."""

import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from architectures import cifar, yolo  # noqa: E402  # they import torch

PARAMETERS = {
    "akamaster_resnet20": 269_722,
    "akamaster_resnet110": 1_727_962,
    "kuangliu_resnet18": 11_173_962,
    "kuangliu_preact_resnet18": 11_171_146,
    "kuangliu_vgg16": 14_728_266,
    "kuangliu_densenet121": 6_956_298,
    "kuangliu_mobilenet": 3_217_226,
    "kuangliu_mobilenetv2": 2_296_922,
    "kuangliu_googlenet": 6_166_250,
    "kuangliu_senet18": 11_260_354,
    "kuangliu_resnext29_2x64d": 9_128_778,
    "xternalizers_wrn_28_10": 36_479_194,
    "bamos_densenet_bc_100_12": 769_162,
    "example_mnist": 1_199_882,
    "tutorial_lenet": 62_006,
}
"""With 10 classes, as the code or the papers of the networks have them."""

YOLO_MILLIONS = {
    "yolov5n-cls": 2.5,
    "yolov5s-cls": 5.4,
    "yolov5m-cls": 12.9,
    "yolov5l-cls": 26.5,
    "yolov5x-cls": 48.1,
    "yolov8n-cls": 2.7,
    "yolov8s-cls": 6.4,
    "yolov8m-cls": 17.0,
    "yolov8l-cls": 37.5,
    "yolov8x-cls": 57.4,
    "yolo11n-cls": 2.8,
    "yolo11s-cls": 6.7,
    "yolo11m-cls": 11.6,
    "yolo11l-cls": 14.1,
    "yolo11x-cls": 29.6,
}
"""With 1,000 classes, as the tables of the models have them."""


def parameters(build: object, classes: int) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in build(classes).parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_small_network_has_its_published_parameters(name: str) -> None:
    assert parameters(cifar.ARCHITECTURES[name], 10) == PARAMETERS[name]


@pytest.mark.parametrize("name", YOLO_MILLIONS)
def test_a_yolo_classifier_has_its_published_parameters(name: str) -> None:
    millions = parameters(yolo.ARCHITECTURES[name], 1000) / 1e6
    assert abs(millions - YOLO_MILLIONS[name]) < 0.06


def test_every_small_network_takes_its_pictures() -> None:
    assert cifar.INPUTS.keys() == cifar.ARCHITECTURES.keys()
    for name, build in cifar.ARCHITECTURES.items():
        if re.search(r"net(110|1202|101|152|169|201|161|_bc_190)", name):
            continue  # the same classes as smaller ones, and seconds to build
        feed = cifar.INPUTS[name]
        with torch.device("meta"):
            network = build(7).eval()
            logits = network(torch.zeros(2, len(feed["mean"]), feed["size"], feed["size"]))
        assert logits.shape == (2, 7), name


@pytest.mark.parametrize("name", ["yolov5n-cls", "yolov8n-cls", "yolo11n-cls"])
def test_a_fused_network_computes_what_the_other_one_does(name: str) -> None:
    torch.manual_seed(0)
    network = yolo.ARCHITECTURES[name](5).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.2)
            torch.nn.init.normal_(layer.running_mean, 0, 0.2)
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)
    fused = yolo.ARCHITECTURES[f"{name}-fused"](5).eval()
    state = network.state_dict()
    merged = {}
    for key in fused.state_dict():
        if f"{key.rpartition('conv.')[0]}bn.weight" not in state:
            merged[key] = state[key]
            continue
        norm = {
            part: state[f"{key.rpartition('conv.')[0]}bn.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        }
        gain = norm["weight"] / (norm["running_var"] + 1e-3).sqrt()
        weight = state[key.replace("bias", "weight")]
        is_bias = key.endswith("bias")
        merged[key] = (
            norm["bias"] - gain * norm["running_mean"]
            if is_bias
            else weight * gain[:, None, None, None]
        )
    fused.load_state_dict(merged)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(network(pictures), fused(pictures), atol=1e-4)
    assert not any("bn" in key for key in merged)


@pytest.mark.real
def test_the_published_checkpoint_gives_the_logits_of_its_export(assets: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = assets / "checkpoints/akamaster/resnet20-12fca82f.th"
    saved = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    network = cifar.ARCHITECTURES["akamaster_resnet20"](10).eval()
    network.load_state_dict({key.removeprefix("module."): saved[key] for key in saved})
    pictures = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    exported = onnxruntime.InferenceSession(
        str(assets / "hub/akamaster-cifar10-resnet20/model.onnx"),
        providers=["CPUExecutionProvider"],
    )
    name = exported.get_inputs()[0].name
    theirs = np.concatenate([exported.run(None, {name: item[None]})[0] for item in pictures])
    with torch.no_grad():
        ours = network(torch.from_numpy(pictures)).numpy()
    assert np.abs(ours - theirs).max() < 1e-4
