"""A name comes in; a YOLO classification network (v5, v8, 11) as its description says goes out.

Written from the published descriptions of the blocks; the names of the parameters are those of the
checkpoints. `forward` gives logits: the softmax of an exported model is not part of the network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_EPSILON = 1e-3  # of every batch norm
_HEAD_WIDTH = 1280


@dataclass(frozen=True)
class Scale:
    """How deep and wide a size of a network is, against its description."""

    depth: float
    width: float
    most_channels: int = 1024
    is_large: bool = False  # only of YOLO11: every C3k2 is made of C3k blocks

    def channels(self, described: int) -> int:
        """The number of channels, a multiple of 8."""
        return -int(-min(described, self.most_channels) * self.width // 8) * 8

    def blocks(self, described: int) -> int:
        """The number of blocks in a row, at least one."""
        return max(round(described * self.depth), 1)


class Conv(nn.Module):
    """Convolution, batch norm, SiLU; with `fused` the batch norm is in the convolution."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        active: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        side = (kernel - 1) // 2  # 2 for the kernel of 6 that YOLOv5 begins with
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, side, groups=groups, bias=fused)
        if not fused:
            self.bn = nn.BatchNorm2d(outputs, eps=_EPSILON, momentum=0.03)
        self.is_active = active

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if hasattr(self, "bn"):
            x = self.bn(x)
        return functional.silu(x) if self.is_active else x


MakeConv = Callable[..., Conv]


class Bottleneck(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(
        self, conv: MakeConv, channels: int, kernels: tuple[int, int], expansion: float = 1.0
    ) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.cv1 = conv(channels, hidden, kernels[0])
        self.cv2 = conv(hidden, channels, kernels[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.cv2(self.cv1(x))


class C3(nn.Module):
    """Half of the channels through bottlenecks, half past them."""

    def __init__(
        self, conv: MakeConv, inputs: int, outputs: int, count: int, kernels: tuple[int, int]
    ) -> None:
        super().__init__()
        hidden = outputs // 2
        self.cv1 = conv(inputs, hidden)
        self.cv2 = conv(inputs, hidden)
        self.cv3 = conv(2 * hidden, outputs)
        self.m = nn.Sequential(*(Bottleneck(conv, hidden, kernels) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), dim=1))


class C2f(nn.Module):
    """Blocks in a row, the output of each of which is kept; `make_block` makes one."""

    def __init__(
        self,
        conv: MakeConv,
        inputs: int,
        outputs: int,
        make_blocks: list[Callable[[int], nn.Module]],
        expansion: float = 0.5,
    ) -> None:
        super().__init__()
        hidden = int(outputs * expansion)
        self.cv1 = conv(inputs, 2 * hidden)
        self.cv2 = conv((2 + len(make_blocks)) * hidden, outputs)
        self.m = nn.ModuleList(make(hidden) for make in make_blocks)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.cv1(x).chunk(2, dim=1))
        for block in self.m:
            parts.append(block(parts[-1]))
        return self.cv2(torch.cat(parts, dim=1))


class Attention(nn.Module):
    """Attention between the places of a map, with a convolution as positional encoding."""

    def __init__(self, conv: MakeConv, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.values = channels // heads
        self.keys = self.values // 2
        self.qkv = conv(channels, channels + 2 * self.keys * heads, active=False)
        self.proj = conv(channels, channels, active=False)
        self.pe = conv(channels, channels, 3, groups=channels, active=False)

    def forward(self, x: Tensor) -> Tensor:
        images, channels, height, width = x.shape
        mixed = self.qkv(x).view(images, self.heads, 2 * self.keys + self.values, height * width)
        query, key, value = mixed.split([self.keys, self.keys, self.values], dim=2)
        weights = (query.transpose(-2, -1) @ key * self.keys**-0.5).softmax(dim=-1)
        attended = (value @ weights.transpose(-2, -1)).view(images, channels, height, width)
        placed = self.pe(value.reshape(images, channels, height, width))
        return self.proj(attended + placed)


class AttentionBlock(nn.Module):
    """Attention and two convolutions, each beside a shortcut (PSABlock)."""

    def __init__(self, conv: MakeConv, channels: int) -> None:
        super().__init__()
        self.attn = Attention(conv, channels, channels // 64)
        self.ffn = nn.Sequential(
            conv(channels, 2 * channels), conv(2 * channels, channels, active=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.ffn(x)


class C2PSA(nn.Module):
    """Half of the channels through attention, half past it."""

    def __init__(self, conv: MakeConv, channels: int, count: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.cv1 = conv(channels, 2 * self.half)
        self.cv2 = conv(2 * self.half, channels)
        self.m = nn.Sequential(*(AttentionBlock(conv, self.half) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        kept, attended = self.cv1(x).split((self.half, self.half), dim=1)
        return self.cv2(torch.cat((kept, self.m(attended)), dim=1))


class Classify(nn.Module):
    """The head: a convolution to 1,280 channels, their means, one linear layer."""

    def __init__(self, conv: MakeConv, inputs: int, classes: int) -> None:
        super().__init__()
        self.conv = conv(inputs, _HEAD_WIDTH)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(_HEAD_WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.pool(self.conv(x)).flatten(1))


class Network(nn.Module):
    """Layers in a row under the name `model`, as the checkpoints have them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def build_v5(classes: int, scale: Scale, fused: bool = False) -> Network:
    """YOLOv5-cls: the first nine layers of the detector and a head."""
    conv = partial(Conv, fused=fused)
    width = [scale.channels(channels) for channels in (64, 128, 256, 512, 1024)]
    layers: list[nn.Module] = [conv(3, width[0], 6, 2)]
    for inputs, outputs, count in zip(width, width[1:], (3, 6, 9, 3), strict=False):
        layers.append(conv(inputs, outputs, 3, 2))
        layers.append(C3(conv, outputs, outputs, scale.blocks(count), (1, 3)))
    return Network(*layers, Classify(conv, width[-1], classes))


def build_v8(classes: int, scale: Scale, fused: bool = False) -> Network:
    """YOLOv8-cls."""
    conv = partial(Conv, fused=fused)
    width = [scale.channels(channels) for channels in (64, 128, 256, 512, 1024)]
    layers: list[nn.Module] = [conv(3, width[0], 3, 2)]
    for inputs, outputs, count in zip(width, width[1:], (3, 6, 6, 3), strict=False):
        blocks = [lambda hidden: Bottleneck(conv, hidden, (3, 3))] * scale.blocks(count)
        layers += [conv(inputs, outputs, 3, 2), C2f(conv, outputs, outputs, blocks)]
    return Network(*layers, Classify(conv, width[-1], classes))


def build_11(classes: int, scale: Scale, fused: bool = False) -> Network:
    """YOLO11-cls."""
    conv = partial(Conv, fused=fused)
    first, second, third, fourth, last = (
        scale.channels(channels) for channels in (64, 128, 256, 512, 1024)
    )

    def plain(hidden: int) -> nn.Module:
        return Bottleneck(conv, hidden, (3, 3), 0.5)

    def large(hidden: int) -> nn.Module:
        return C3(conv, hidden, hidden, 2, (3, 3))

    layers: list[nn.Module] = [conv(3, first, 3, 2)]
    for inputs, middle, outputs, is_early in (
        (first, second, third, True),
        (third, third, fourth, True),
        (fourth, fourth, fourth, False),
        (fourth, last, last, False),
    ):
        make = plain if is_early and not scale.is_large else large
        expansion = 0.25 if is_early else 0.5
        layers.append(conv(inputs, middle, 3, 2))
        layers.append(C2f(conv, middle, outputs, [make] * scale.blocks(2), expansion))
    layers.append(C2PSA(conv, last, scale.blocks(2)))
    return Network(*layers, Classify(conv, last, classes))


def _scales(depths: tuple[float, ...], widths: tuple[float, ...]) -> dict[str, Scale]:
    return {size: Scale(*pair) for size, *pair in zip("nsmlx", depths, widths, strict=True)}


_V5 = _scales((0.33, 0.33, 0.67, 1, 1.33), (0.25, 0.5, 0.75, 1, 1.25))
_V8 = _scales((0.33, 0.33, 0.67, 1, 1), (0.25, 0.5, 0.75, 1, 1.25))
_11 = {
    "n": Scale(0.5, 0.25),
    "s": Scale(0.5, 0.5),
    "m": Scale(0.5, 1, 512, is_large=True),
    "l": Scale(1, 1, 512, is_large=True),
    "x": Scale(1, 1.5, 512, is_large=True),
}
_FAMILIES = (("yolov5", build_v5, _V5), ("yolov8", build_v8, _V8), ("yolo11", build_11, _11))

ARCHITECTURES: dict[str, Callable[[int], nn.Module]] = {
    f"{family}{size}-cls{suffix}": partial(build, scale=scale, fused=bool(suffix))
    for family, build, scales in _FAMILIES
    for size, scale in scales.items()
    for suffix in ("", "-fused")
}
"""Builders by name; each takes the number of classes. The fused ones have no batch norms left."""

INPUTS: dict[str, dict[str, object]] = {
    name: (_IMAGENET if name.startswith("yolov5") else _PLAIN) | {"size": 224, "crop_fraction": 1.0}
    for name in ARCHITECTURES
}
"""What the published tools feed: the shortest edge is resized to `size`, the middle is cut out.
Pictures are RGB from 0 to 1, minus `mean`, by `std`. A checkpoint says its size in train_args."""
