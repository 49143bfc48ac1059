"""A network of torch comes in; checkpoint files as people leave them go out, and what they are.

Used by checkpoints.py, in an environment with torch, torchvision and timm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from architectures import cifar, yolo

CLASSES = 7
LARGE = 288
"""Edge of the pictures of networks that are not for the usual size."""

Save = Callable[[nn.Module, Path], None]


class OwnHead(nn.Module):
    """A body with a classifier of one's own behind it, as tutorials write it."""

    def __init__(self, body: nn.Module, features: int, name: str = "classifier") -> None:
        super().__init__()
        self.backbone = body
        self.head_name = name
        self.add_module(name, nn.Linear(features, CLASSES))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Logits of pictures."""
        features = torch.flatten(self.backbone(pictures), 1)
        return self.get_submodule(self.head_name)(features)


class Hyperparameters:
    """An object of a class that the reader does not have, as Lightning pickles them."""

    def __init__(self) -> None:
        self.learning_rate, self.arch = 1e-3, "resnet34"


class HomeMade(nn.Module):
    """A network of one's own: no table knows it."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 5, 2)
        self.norm = nn.BatchNorm2d(width)
        self.mix = nn.Conv2d(width, 2 * width, 3, 2)
        self.out = nn.Linear(2 * width, CLASSES)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Logits of pictures."""
        features = torch.relu(self.mix(torch.relu(self.norm(self.stem(pictures)))))
        return self.out(features.mean((2, 3)))


def _prefixed(prefix: str, network: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in network.state_dict().items()}


def _training(network: nn.Module, file: Path) -> None:
    optimizer = torch.optim.AdamW(network.parameters())
    torch.save(
        {
            "epoch": 9,
            "state_dict": nn.DataParallel(network).state_dict(),
            "optimizer": optimizer.state_dict(),
            "best_acc1": torch.tensor(0.9),
        },
        file,
    )


def _lightning(network: nn.Module, file: Path) -> None:
    torch.save(
        {
            "epoch": 3,
            "global_step": 100,
            "pytorch-lightning_version": "2.4.0",
            "state_dict": _prefixed("model.", network),
            "hyper_parameters": Hyperparameters(),
            "optimizer_states": [],
            "callbacks": {},
        },
        file,
    )


def _averaged(network: nn.Module, file: Path) -> None:
    stale = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    torch.save({"model": stale, "ema": network.state_dict(), "n_averaged": torch.tensor(5)}, file)


def _half(network: nn.Module, file: Path) -> None:
    network.half()
    torch.save(network.state_dict(), file)
    network.float()


def _bfloat16(network: nn.Module, file: Path) -> None:
    network.bfloat16()
    torch.save(network.state_dict(), file)
    network.float()


def _labelled(network: nn.Module, file: Path) -> None:
    names = {f"class {index}": index for index in range(CLASSES)}
    torch.save({"model_state_dict": network.state_dict(), "class_to_idx": names}, file)


def _for_large_pictures(network: nn.Module, file: Path) -> None:
    torch.save({"state_dict": network.state_dict(), "args": {"img_size": LARGE}}, file)


STYLES: dict[str, Save] = {
    "state dict": lambda network, file: torch.save(network.state_dict(), file),
    "legacy format": lambda network, file: torch.save(
        network.state_dict(), file, _use_new_zipfile_serialization=False
    ),
    "whole module": lambda network, file: torch.save(network, file),
    "DataParallel, with optimizer": _training,
    "Lightning, with a pickled class": _lightning,
    "EMA beside stale weights": _averaged,
    "half precision": _half,
    "bfloat16": _bfloat16,
    "torch.compile": lambda network, file: torch.save(_prefixed("_orig_mod.", network), file),
    "DDP of a wrapper": lambda network, file: torch.save(_prefixed("module.net.", network), file),
    "class_to_idx beside": _labelled,
    "img_size beside": _for_large_pictures,
    "safetensors": lambda network, file: save_file(network.state_dict(), file),
    "without batch counts": lambda network, file: torch.save(
        {k: v for k, v in network.state_dict().items() if "num_batches" not in k}, file
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A checkpoint: its network, its style, and the architecture that it is, "" for none."""

    name: str
    build: Callable[[], nn.Module]
    style: str
    architecture: str
    ending: str = ".pth"
    size: int = 224


def _with(network: nn.Module, place: str, layer: nn.Module) -> nn.Module:
    """A network with another layer in a place."""
    parent, _, last = place.rpartition(".")
    setattr(network.get_submodule(parent) if parent else network, last, layer)
    return network


def _mlp(features: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(features, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, CLASSES)
    )


def _normed(features: int) -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm1d(features),
        nn.Dropout(0.2),
        nn.Linear(features, 32, bias=False),
        nn.ReLU(),
        nn.BatchNorm1d(32),
        nn.Linear(32, CLASSES),
    )


def _dropped(features: int) -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(features, CLASSES))


def _tv(name: str, **more: Any) -> nn.Module:
    return models.get_model(name, weights=None, num_classes=CLASSES, **more)


def _timm(name: str, **more: Any) -> nn.Module:
    return timm.create_model(name, pretrained=False, **{"num_classes": CLASSES, **more})


def _body_of(network: nn.Module, count: int = -1) -> nn.Module:
    return nn.Sequential(*list(network.children())[:count])


def cases() -> list[Case]:
    """All of them."""
    return [*_plain(), *_own_heads(), *_inputs(), *_unknown()]


def heavy_cases() -> list[Case]:
    """Larger networks of torchvision: up to 138 million parameters, in styles that vary."""
    named = [
        ("vgg16", "DataParallel, with optimizer"),
        ("swin_t", "whole module"),
        ("vit_b_16", "state dict"),
        ("convnext_tiny", "half precision"),
        ("resnext50_32x4d", "legacy format"),
        ("efficientnet_v2_s", "EMA beside stale weights"),
    ]
    return [
        Case(f"torchvision {name}", lambda name=name: _tv(name), style, name)
        for name, style in named
    ]


def size_cases() -> list[Case]:
    """Networks whose size was fixed by their code, for other pictures than the usual ones."""
    named = ("swin_t", "swin_v2_t", "alexnet", "vgg11", "vgg11_bn")
    rows = [
        Case(
            f"torchvision {name}", lambda name=name: _tv(name), "img_size beside", name, size=LARGE
        )
        for name in named
    ]
    return [
        *rows,
        Case(
            "torchvision vit_b_32",
            lambda: _tv("vit_b_32", image_size=LARGE),
            "state dict",
            "vit_b_32",
            size=LARGE,
        ),
        Case(
            "timm vit_tiny, 192x192",
            lambda: _timm("vit_tiny_patch16_224", img_size=192),
            "state dict",
            "vit_tiny_patch16_224",
            size=192,
        ),
    ]


def _plain() -> list[Case]:
    of_torchvision = [
        ("resnet18", "state dict"),
        ("resnet18", "legacy format"),
        ("resnet50", "DataParallel, with optimizer"),
        ("resnet34", "Lightning, with a pickled class"),
        ("resnet50", "whole module"),
        ("mobilenet_v2", "half precision"),
        ("mobilenet_v3_large", "torch.compile"),
        ("mobilenet_v3_small", "class_to_idx beside"),
        ("efficientnet_b0", "DDP of a wrapper"),
        ("alexnet", "legacy format"),
        ("squeezenet1_1", "state dict"),
        ("shufflenet_v2_x1_0", "whole module"),
        ("regnet_y_400mf", "EMA beside stale weights"),
        ("mnasnet0_5", "without batch counts"),
        ("shufflenet_v2_x0_5", "bfloat16"),
        ("densenet121", "state dict"),
        ("squeezenet1_0", "half precision"),
        ("mnasnet1_0", "DataParallel, with optimizer"),
    ]
    of_timm = [
        ("resnet50d", "state dict"),
        ("tf_efficientnetv2_b0", "DataParallel, with optimizer"),
        ("mobilenetv3_large_100", "Lightning, with a pickled class"),
        ("vit_tiny_patch16_224", "state dict"),
        ("deit_small_distilled_patch16_224", "safetensors"),
        ("swin_tiny_patch4_window7_224", "torch.compile"),
        ("convnextv2_atto", "safetensors"),
        ("regnety_002", "legacy format"),
        ("ghostnet_100", "state dict"),
        ("resnest14d", "whole module"),
        ("resnetv2_50", "state dict"),
        ("seresnext50_32x4d", "class_to_idx beside"),
    ]
    rows = [
        Case(f"torchvision {name}", lambda name=name: _tv(name), style, name)
        for name, style in of_torchvision
    ]
    rows += [
        Case(
            f"timm {name}",
            lambda name=name: _timm(name),
            style,
            name,
            ".safetensors" if style == "safetensors" else ".ckpt" if "Light" in style else ".pth",
        )
        for name, style in of_timm
    ]
    copied = ("akamaster_resnet20", "kuangliu_resnet18", "chenyaofo_vgg16_bn", "tutorial_lenet")
    rows += [
        Case(
            f"copied {name}",
            lambda n=name: cifar.ARCHITECTURES[n](CLASSES),
            "state dict",
            name,
            size=32,
        )
        for name in copied
    ]
    rows += [
        Case(name, lambda n=name: yolo.ARCHITECTURES[n](CLASSES), "state dict", name, ".pt")
        for name in ("yolov8n-cls", "yolo11n-cls", "yolov5n-cls")
    ]
    return rows


def _own_heads() -> list[Case]:
    def case(name: str, architecture: str, build: Callable[[], nn.Module]) -> Case:
        return Case(name, build, "state dict", architecture)

    return [
        case("dropout and linear", "resnet18", lambda: _with(_tv("resnet18"), "fc", _dropped(512))),
        case("MLP head", "resnet50", lambda: _with(_tv("resnet50"), "fc", _mlp(2048))),
        case("normed MLP head", "resnet34", lambda: _with(_tv("resnet34"), "fc", _normed(512))),
        case(
            "classifier replaced",
            "efficientnet_b0",
            lambda: _with(_tv("efficientnet_b0"), "classifier", _mlp(1280)),
        ),
        case("MLP for VGG", "vgg16", lambda: _with(_tv("vgg16"), "classifier", _mlp(25088))),
        case(
            "last layer of a list",
            "mobilenet_v3_large",
            lambda: _with(_tv("mobilenet_v3_large"), "classifier.3", _mlp(1280)),
        ),
        case(
            "body and head",
            "resnet18",
            lambda: OwnHead(_with(_tv("resnet18"), "fc", nn.Identity()), 512),
        ),
        case(
            "children in a list",
            "resnet50",
            lambda: OwnHead(_body_of(_tv("resnet50")), 2048, "fc"),
        ),
        case(
            "timm body, own head",
            "efficientnet_b0",
            lambda: OwnHead(_timm("efficientnet_b0", num_classes=0), 1280, "head"),
        ),
        case(
            "ViT body, own head",
            "vit_small_patch16_224",
            lambda: OwnHead(_timm("vit_small_patch16_224", num_classes=0), 384),
        ),
    ]


def _inputs() -> list[Case]:
    def first(network: nn.Module) -> nn.Module:
        return _with(network, "conv1", nn.Conv2d(1, 64, 7, 2, 3, bias=False))

    return [
        Case("grey pictures", lambda: first(_tv("resnet18")), "state dict", "resnet18"),
        Case(
            "ViT for 384x384",
            lambda: _timm("vit_tiny_patch16_224", img_size=384),
            "state dict",
            "vit_tiny_patch16_224",
            size=384,
        ),
        Case(
            "inception with its auxiliary head",
            lambda: _tv("inception_v3", init_weights=False),
            "state dict",
            "inception_v3",
            size=299,
        ),
    ]


def _unknown() -> list[Case]:
    def stem(network: nn.Module) -> nn.Module:
        return _with(network, "conv1", nn.Conv2d(3, 64, 3, 1, 1, bias=False))

    wide = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, 7))
    return [
        Case("home-made network", HomeMade, "state dict", ""),
        Case("home-made network, whole", HomeMade, "whole module", ""),
        Case("home-made MLP", lambda: wide, "state dict", ""),
        Case("ResNet-18 with another stem", lambda: stem(_tv("resnet18")), "state dict", ""),
        Case(
            "FCN, a segmenter",
            lambda: models.segmentation.fcn_resnet50(weights=None, weights_backbone=None),
            "state dict",
            "",
        ),
        Case(
            "autoencoder",
            lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 3, 3)),
            "state dict",
            "",
        ),
        Case(
            "text classifier",
            lambda: nn.ModuleDict(
                {"embedding": nn.Embedding(30_522, 64), "fc": nn.Linear(64, CLASSES)}
            ),
            "state dict",
            "",
        ),
    ]
