"""The name of a known network comes in; a file of its weights goes out, written without torch."""

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from safetensors.numpy import save_file

from lagotto.models.architectures.fingerprint import Shape
from lagotto.models.architectures.signature_table import read_table, read_tensors
from seeded_weights import seeded_weights

GOLDEN_FILE = Path(__file__).resolve().parents[1] / "golden" / "network_logits.json"
GOLDEN_KEYS = (
    *("cifar/akamaster_resnet20", "cifar/akamaster_resnet20_b", "cifar/tutorial_lenet"),
    *("yolo/yolov8n-cls", "yolo/yolo11n-cls-fused", "torchvision/squeezenet1_1"),
    *("torchvision/mobilenet_v3_small", "torchvision/shufflenet_v2_x0_5", "torchvision/mnasnet0_5"),
    *("torchvision/resnet18", "timm/vit_tiny_patch16_224", "timm/convnextv2_atto"),
)
KEPT = 5
"""Logits of each picture that the golden file has."""


def shapes_of(key: str) -> dict[str, Shape]:
    """The names and shapes of the tensors of an architecture with 1,000 classes."""
    return dict(_all_shapes()[key])


@cache
def _all_shapes() -> dict[str, dict[str, Shape]]:
    keys = [architecture.key for architecture in read_table().architectures]
    return dict(zip(keys, read_tensors(), strict=True))


def write_network(key: str, folder: Path, name: str = "best.safetensors") -> Path:
    """A file of seeded weights of an architecture, as a user has them: without a config.json."""
    file = folder / name
    save_file(seeded_weights(shapes_of(key)), file)
    return file


def golden_pictures(shape: tuple[int, ...]) -> UInt8[np.ndarray, "2 height width channels"]:
    """Two pictures that are the same every time: blocks of colour."""
    height, width, channels = shape
    drawn = np.random.default_rng(7).integers(0, 256, (2, 8, 8, channels), np.uint8)
    rows, columns = (np.arange(size) * 8 // size for size in (height, width))
    return drawn[:, rows][:, :, columns]
