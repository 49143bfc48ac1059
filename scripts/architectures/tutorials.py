"""Sizes come in; the small networks of the PyTorch tutorials and examples go out."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LeNet(nn.Module):
    """LeNet-5 with ReLU and max pooling, as in the 60-minute blitz (conv1, conv2, fc1 to fc3).

    `edge` is that of the pictures: 32 leaves maps of 5 x 5, 28 maps of 4 x 4.
    """

    def __init__(self, classes: int, channels: int = 3, edge: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        left = ((edge - 4) // 2 - 4) // 2
        self.fc1 = nn.Linear(16 * left * left, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1)))))
        return self.fc3(x)


class MnistNet(nn.Module):
    """The network of the MNIST example: 32 and 64 channels, one pooling, log_softmax."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        x = functional.max_pool2d(x, 2).flatten(1)
        return functional.log_softmax(self.fc2(torch.relu(self.fc1(x))), dim=1)


class EarlyMnistNet(nn.Module):
    """The networks of the MNIST example before 2019: two 5x5 convolutions, each pooled.

    The first one (10 and 20 channels) pools before its ReLU, the second (20 and 50) after it: the
    numbers are the same, since both keep the order.
    """

    def __init__(self, classes: int, widths: tuple[int, int] = (10, 20), hidden: int = 50) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 5)
        self.conv2 = nn.Conv2d(widths[0], widths[1], 5)
        self.fc1 = nn.Linear(widths[1] * 16, hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(functional.max_pool2d(self.conv1(x), 2))
        x = torch.relu(functional.max_pool2d(self.conv2(x), 2)).flatten(1)
        return functional.log_softmax(self.fc2(torch.relu(self.fc1(x))), dim=1)


class QuickstartNet(nn.Module):
    """The three linear layers of the quickstart (linear_relu_stack), for Fashion-MNIST."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_relu_stack(x.flatten(1))
