"""Sizes come in; other networks for small pictures go out: VGG, DenseNet, MobileNet, GoogLeNet.

Each class says whose names its parameters have.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from architectures.cifar_resnets import convolve, convolve_normed

VGG_WIDTHS: dict[int, tuple[int, ...]] = {
    11: (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    13: (64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    16: (64, 64, 0, 128, 128, 0, *[256] * 3, 0, *[512] * 3, 0, *[512] * 3, 0),
    19: (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0),
}
"""Channels of the convolutions by depth; 0 halves the map."""


class Vgg(nn.Module):
    """VGG with batch norms for 32 x 32 pictures.

    `hidden` 0 has one linear layer named `classifier` (kuangliu), else three, of that width:
    classifier.0, .3 and .6 (512 in chenyaofo's code, 4096 in weiaicunzai's).
    """

    def __init__(self, depth: int, classes: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in VGG_WIDTHS[depth]:
            if width == 0:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        self.features = nn.Sequential(*layers)
        if hidden:
            sizes = ((512, hidden), (hidden, hidden))
            parts = [[nn.Linear(*size), nn.ReLU(), nn.Dropout()] for size in sizes]
            self.classifier: nn.Module = nn.Sequential(
                *parts[0], *parts[1], nn.Linear(hidden, classes)
            )
        else:
            self.classifier = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class DenseLayer(nn.Module):
    """A bottleneck whose result is joined to its input, before it or after it."""

    def __init__(self, inputs: int, growth: int, result_first: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolve(inputs, 4 * growth, 1)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = convolve(4 * growth, growth, 3)
        self.result_first = result_first

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(torch.relu(self.bn2(self.conv1(torch.relu(self.bn1(x))))))
        return torch.cat((out, x) if self.result_first else (x, out), dim=1)


class Transition(nn.Module):
    """A 1x1 convolution and the means of 2x2; `suffix` ends the names ("1": bn1, conv1)."""

    def __init__(self, inputs: int, outputs: int, suffix: str) -> None:
        super().__init__()
        self.suffix = suffix
        setattr(self, f"bn{suffix}", nn.BatchNorm2d(inputs))
        setattr(self, f"conv{suffix}", convolve(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        normed = torch.relu(getattr(self, f"bn{self.suffix}")(x))
        return functional.avg_pool2d(getattr(self, f"conv{self.suffix}")(normed), 2)


class DenseNet(nn.Module):
    """DenseNet-BC; names as in kuangliu's code, or as in bamos' with `joined_last`."""

    def __init__(
        self, counts: tuple[int, ...], growth: int, classes: int, joined_last: bool = False
    ) -> None:
        super().__init__()
        channels = 2 * growth
        self.conv1 = convolve(3, channels, 3)
        self.stages = len(counts)
        for index, count in enumerate(counts):
            layers = [
                DenseLayer(channels + at * growth, growth, not joined_last) for at in range(count)
            ]
            setattr(self, f"dense{index + 1}", nn.Sequential(*layers))
            channels += count * growth
            if index + 1 < len(counts):
                suffix = "1" if joined_last else ""
                setattr(self, f"trans{index + 1}", Transition(channels, channels // 2, suffix))
                channels //= 2
        self.names = ("bn1", "fc") if joined_last else ("bn", "linear")
        setattr(self, self.names[0], nn.BatchNorm2d(channels))
        setattr(self, self.names[1], nn.Linear(channels, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for index in range(self.stages):
            x = getattr(self, f"dense{index + 1}")(x)
            if index + 1 < self.stages:
                x = getattr(self, f"trans{index + 1}")(x)
        x = torch.relu(getattr(self, self.names[0])(x))
        out = getattr(self, self.names[1])(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return functional.log_softmax(out, dim=1) if self.names[1] == "fc" else out


class SeparableBlock(nn.Module):
    """A convolution of each channel and one across channels (MobileNet, kuangliu's names)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolve(inputs, inputs, 3, stride, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = convolve(inputs, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)))


class MobileNet(nn.Module):
    """MobileNet for 32 x 32 pictures, names as in kuangliu's code."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = convolve(3, 32, 3)
        self.bn1 = nn.BatchNorm2d(32)
        plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
        plan += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
        inputs = [32, *(width for width, _ in plan)]
        self.layers = nn.Sequential(
            *(SeparableBlock(inputs[at], *step) for at, step in enumerate(plan))
        )
        self.linear = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(torch.relu(self.bn1(self.conv1(x))))
        return self.linear(functional.avg_pool2d(x, 2).flatten(1))


class InvertedBlock(nn.Module):
    """Expansion, convolution of each channel, projection (kuangliu's names and shortcut).

    At stride 1 the shortcut has a convolution where the number of channels changes.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.conv1 = convolve(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolve(width, width, 3, stride, groups=width)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolve(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.has_shortcut = stride == 1
        self.shortcut = nn.Sequential()
        if stride == 1 and inputs != outputs:
            self.shortcut = convolve_normed(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(out)))))
        return out + self.shortcut(x) if self.has_shortcut else out


class MobileNetV2(nn.Module):
    """MobileNetV2 for 32 x 32 pictures, names as in kuangliu's code."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = convolve(3, 32, 3)
        self.bn1 = nn.BatchNorm2d(32)
        layers, inputs = [], 32
        for expansion, width, count, stride in (
            *((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2)),
            *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
        ):
            for at in range(count):
                layers.append(InvertedBlock(inputs, width, expansion, stride if at == 0 else 1))
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.conv2 = convolve(320, 1280, 1)
        self.bn2 = nn.BatchNorm2d(1280)
        self.linear = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(torch.relu(self.bn1(self.conv1(x))))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.linear(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Inception(nn.Module):
    """Four branches side by side: 1x1, 3x3, two 3x3, and pooled (kuangliu's names)."""

    def __init__(self, inputs: int, *widths: int) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = widths

        def layers(*sizes: tuple[int, int, int]) -> list[nn.Module]:
            made: list[nn.Module] = []
            for before, after, kernel in sizes:
                made.append(nn.Conv2d(before, after, kernel, padding=kernel // 2))
                made += [nn.BatchNorm2d(after), nn.ReLU()]
            return made

        self.b1 = nn.Sequential(*layers((inputs, one, 1)))
        self.b2 = nn.Sequential(*layers((inputs, three_in, 1), (three_in, three, 3)))
        self.b3 = nn.Sequential(*layers((inputs, five_in, 1), (five_in, five, 3), (five, five, 3)))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), *layers((inputs, pooled, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.b1(x), self.b2(x), self.b3(x), self.b4(x)), dim=1)


class GoogLeNet(nn.Module):
    """GoogLeNet for 32 x 32 pictures, names as in kuangliu's code."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.pre_layers = nn.Sequential(
            nn.Conv2d(3, 192, 3, padding=1), nn.BatchNorm2d(192), nn.ReLU()
        )
        self.a3 = Inception(192, 64, 96, 128, 16, 32, 32)
        self.b3 = Inception(256, 128, 128, 192, 32, 96, 64)
        self.a4 = Inception(480, 192, 96, 208, 16, 48, 64)
        self.b4 = Inception(512, 160, 112, 224, 24, 64, 64)
        self.c4 = Inception(512, 128, 128, 256, 24, 64, 64)
        self.d4 = Inception(512, 112, 144, 288, 32, 64, 64)
        self.e4 = Inception(528, 256, 160, 320, 32, 128, 128)
        self.a5 = Inception(832, 256, 160, 320, 32, 128, 128)
        self.b5 = Inception(832, 384, 192, 384, 48, 128, 128)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b3(self.a3(self.pre_layers(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        x = self.e4(self.d4(self.c4(self.b4(self.a4(x)))))
        x = self.b5(self.a5(functional.max_pool2d(x, 3, 2, 1)))
        return self.linear(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class SmallMobileNetV2(nn.Module):
    """MobileNetV2 for 32 x 32 pictures with the names of torchvision (chenyaofo's code).

    Names and shapes are those of torchvision's network; only two strides differ.
    """

    def __init__(self, factor: float, classes: int) -> None:
        super().__init__()

        def scaled(width: int, least: float = 0.0) -> int:
            value = width * max(factor, least)
            rounded = max(8, int(value + 4) // 8 * 8)
            return rounded + 8 if rounded < 0.9 * value else rounded

        def unit(before: int, after: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
            layer = convolve(before, after, kernel, stride, groups)
            return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU6())

        inputs, last = scaled(32), scaled(1280, 1.0)
        features: list[nn.Module] = [unit(3, inputs, 3, 1, 1)]
        for expansion, described, count, stride in (
            *((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2)),
            *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
        ):
            for at in range(count):
                width, outputs = inputs * expansion, scaled(described)
                step = stride if at == 0 else 1
                layers = [unit(inputs, width, 1, 1, 1)] if expansion != 1 else []
                layers.append(unit(width, width, 3, step, width))
                layers += list(convolve_normed(width, outputs, 1))
                features.append(_Residual(layers, step == 1 and inputs == outputs))
                inputs = outputs
        self.features = nn.Sequential(*features, unit(inputs, last, 1, 1, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1)
        return self.classifier(x)


class _Residual(nn.Module):
    def __init__(self, layers: list[nn.Module], has_shortcut: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(*layers)
        self.has_shortcut = has_shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.has_shortcut else self.conv(x)
