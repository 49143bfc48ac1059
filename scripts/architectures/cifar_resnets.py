"""Sizes come in; the residual networks for small pictures that most CIFAR code goes back to go out.

Each class says whose names its parameters have. Convolutions have no bias.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

MakeBlock = Callable[[int, int, int], nn.Module]
"""Makes a block from its input channels, its width and its stride."""


def convolve(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size of the map at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def convolve_normed(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution and its batch norm."""
    return nn.Sequential(convolve(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs))


def stack_blocks(
    make: MakeBlock, inputs: int, width: int, count: int, stride: int, expansion: int = 1
) -> nn.Sequential:
    """Blocks in a row; only the first one has the stride."""
    blocks = [make(inputs, width, stride)]
    blocks += [make(width * expansion, width, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class PaddedShortcut(nn.Module):
    """Every second row and column, with channels of zeros around (option A: no parameters)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.side = outputs // 4

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.side, self.side))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `name` is that of the shortcut's parameters.

    `option` "A" pads the shortcut, "B" has a convolution where its shape changes.
    """

    def __init__(
        self, inputs: int, width: int, stride: int, option: str = "B", name: str = "shortcut"
    ) -> None:
        super().__init__()
        self.conv1 = convolve(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolve(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.name = name
        if stride != 1 or inputs != width:
            is_padded = option == "A"
            shortcut = PaddedShortcut(width) if is_padded else None
            setattr(self, name, shortcut or convolve_normed(inputs, width, 1, stride))
        else:
            setattr(self, name, nn.Sequential())

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + getattr(self, self.name)(x))


class BottleneckBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; `groups` are those of the middle."""

    def __init__(
        self, inputs: int, width: int, stride: int, expansion: int = 4, groups: int = 1
    ) -> None:
        super().__init__()
        outputs = width * expansion
        self.conv1 = convolve(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolve(width, width, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolve(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = convolve_normed(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(self.conv2(out)))
        return torch.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


class PreActivatedBlock(nn.Module):
    """Batch norm and ReLU before each of two or three convolutions (pre-activation).

    With `squeezed`, a gate of each channel (squeeze and excitation) is applied to the result.
    """

    def __init__(
        self, inputs: int, width: int, stride: int, expansion: int = 1, squeezed: bool = False
    ) -> None:
        super().__init__()
        outputs = width * expansion
        kernels = (3, 3) if expansion == 1 else (1, 3, 1)
        strides = (stride, 1) if expansion == 1 else (1, stride, 1)
        channels = (inputs, *[width] * (len(kernels) - 1), outputs)
        self.count = len(kernels)
        for index in range(self.count):
            before, after = channels[index : index + 2]
            setattr(self, f"bn{index + 1}", nn.BatchNorm2d(before))
            layer = convolve(before, after, kernels[index], strides[index])
            setattr(self, f"conv{index + 1}", layer)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(convolve(inputs, outputs, 1, stride))
        if squeezed:
            self.fc1 = nn.Conv2d(outputs, outputs // 16, 1)
            self.fc2 = nn.Conv2d(outputs // 16, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        for index in range(2, self.count + 1):
            normed = torch.relu(getattr(self, f"bn{index}")(out))
            out = getattr(self, f"conv{index}")(normed)
        if hasattr(self, "fc1"):
            gate = torch.relu(self.fc1(functional.adaptive_avg_pool2d(out, 1)))
            out = out * torch.sigmoid(self.fc2(gate))
        return out + shortcut


class SmallResNet(nn.Module):
    """Three stages of 16, 32 and 64 channels (He et al. 2015 for CIFAR).

    With `head` "linear" the names are those of akamaster's code, with "fc" those of chenyaofo's.
    """

    def __init__(self, make: MakeBlock, count: int, classes: int, head: str) -> None:
        super().__init__()
        self.conv1 = convolve(3, 16, 3)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stack_blocks(make, 16, 16, count, 1)
        self.layer2 = stack_blocks(make, 16, 32, count, 2)
        self.layer3 = stack_blocks(make, 32, 64, count, 2)
        self.head = head
        setattr(self, head, nn.Linear(64, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return getattr(self, self.head)(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class WideStageResNet(nn.Module):
    """Stages of 64 channels and twice as many each, names as in kuangliu's code.

    `normed` says whether a batch norm follows the first convolution; pre-activation has none.
    """

    def __init__(
        self,
        make: MakeBlock,
        counts: tuple[int, ...],
        classes: int,
        expansion: int = 1,
        *,
        normed: bool = True,
        stem_kernel: int = 3,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.conv1 = convolve(3, 64, stem_kernel)
        if normed:
            self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        self.stages = len(counts)
        for index, count in enumerate(counts):
            stage = stack_blocks(make, inputs, width, count, 1 if index == 0 else 2, expansion)
            setattr(self, f"layer{index + 1}", stage)
            inputs, width = width * expansion, 2 * width
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        if hasattr(self, "bn1"):
            x = torch.relu(self.bn1(x))
        for index in range(self.stages):
            x = getattr(self, f"layer{index + 1}")(x)
        return self.linear(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class ResidualFunctionBlock(nn.Module):
    """A block with the names of weiaicunzai's code: residual_function and shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, expansion: int = 1) -> None:
        super().__init__()
        outputs = width * expansion
        if expansion == 1:
            parts = [(inputs, width, 3, stride), (width, width, 3, 1)]
        else:
            parts = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        layers: list[nn.Module] = []
        for before, after, kernel, step in parts:
            layers += [*convolve_normed(before, after, kernel, step), nn.ReLU()]
        self.residual_function = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = convolve_normed(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residual_function(x) + self.shortcut(x))


class StageNamedResNet(nn.Module):
    """A ResNet for small pictures with the names of weiaicunzai's code: conv2_x to conv5_x."""

    def __init__(
        self, make: MakeBlock, counts: tuple[int, ...], classes: int, expansion: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*convolve_normed(3, 64, 3), nn.ReLU())
        inputs = 64
        for index, count in enumerate(counts):
            width = 64 << index
            stage = stack_blocks(make, inputs, width, count, 1 if index == 0 else 2, expansion)
            setattr(self, f"conv{index + 2}_x", stage)
            inputs = width * expansion
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv5_x(self.conv4_x(self.conv3_x(self.conv2_x(self.conv1(x)))))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class WideBlock(nn.Module):
    """A pre-activated block with the names of xternalizers' code (convShortcut)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolve(inputs, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = convolve(width, width, 3)
        if inputs != width:
            self.convShortcut = convolve(inputs, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        normed = torch.relu(self.bn1(x))
        shortcut = self.convShortcut(normed) if hasattr(self, "convShortcut") else x
        return shortcut + self.conv2(torch.relu(self.bn2(self.conv1(normed))))


class WideResNet(nn.Module):
    """WideResNet-depth-factor with the names of xternalizers' code (block1.layer.0)."""

    def __init__(self, depth: int, factor: int, classes: int) -> None:
        super().__init__()
        count = (depth - 4) // 6
        self.conv1 = convolve(3, 16, 3)
        inputs = 16
        for index in range(3):
            width = (16 << index) * factor
            stage = stack_blocks(WideBlock, inputs, width, count, 1 if index == 0 else 2)
            setattr(self, f"block{index + 1}", nn.ModuleDict({"layer": stage}))
            inputs = width
        self.bn1 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for block in (self.block1, self.block2, self.block3):
            x = block["layer"](x)
        x = torch.relu(self.bn1(x))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))
