"""The classifiers' architectures: plain, residual and separable small CNNs."""

import torch
from plan import ModelPlan
from torch import nn

WIDTHS = {  # wider where weights are stored in 8 bits: about the same file size
    ("plain", False): (12, 20, 28, 40),
    ("plain", True): (16, 28, 40, 64),
    ("residual", False): (12, 16, 24, 32),
    ("residual", True): (16, 24, 32, 56),
    ("separable", False): (20, 40, 64, 104),
    ("separable", True): (24, 48, 80, 144),
}


def convolve(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    """Convolution and batch norm; both become one node when exported."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolve(inputs, outputs, 3, stride)
        self.second = convolve(outputs, outputs, 3)
        self.shortcut = convolve(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


def build_features(architecture: str, channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """The convolutional part; its output has widths[-1] channels at an eighth of the size."""
    a, b, c, d = widths
    if architecture == "plain":
        layers: list[nn.Module] = [convolve(channels, a, 5, 2), nn.ReLU()]
        for inputs, outputs in ((a, b), (b, c)):
            layers += [convolve(inputs, outputs, 3), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, convolve(c, d, 3), nn.ReLU())
    if architecture == "residual":
        return nn.Sequential(
            *(convolve(channels, a, 3, 2), nn.ReLU()),
            *(Residual(a, b, 1), nn.MaxPool2d(2), Residual(b, c, 2), convolve(c, d, 1), nn.ReLU()),
        )
    layers = [convolve(channels, a, 3, 2), nn.ReLU6()]
    for inputs, outputs, stride in ((a, b, 1), (b, c, 2), (c, c, 1), (c, d, 2)):
        layers += [convolve(inputs, inputs, 3, stride, groups=inputs), nn.ReLU6()]
        layers += [convolve(inputs, outputs, 1), nn.ReLU6()]
    return nn.Sequential(*layers)


class Classifier(nn.Module):
    """[batch, channels, size, size] in -1..1 or as declared → [batch, classes] logits."""

    def __init__(self, plan: ModelPlan) -> None:
        super().__init__()
        widths = WIDTHS[plan.architecture, bool(plan.quantised)]
        self.features = build_features(plan.architecture, len(plan.mean), widths)
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(widths[-1], len(plan.classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


class Deployed(nn.Module):
    """A trained classifier in the input layout, dtype and output form that its plan declares."""

    def __init__(self, classifier: nn.Module, plan: ModelPlan) -> None:
        super().__init__()
        self.classifier = classifier
        self.channels_last = plan.layout == "NHWC"
        self.whole_numbers = plan.scale == "0..255"  # scaled to -1..1 inside the graph
        self.softmax = plan.output == "softmax"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(torch.float32)
        if self.channels_last:
            x = x.permute(0, 3, 1, 2)
        if self.whole_numbers:
            x = x * (1 / 127.5) - 1.0
        logits = self.classifier(x)
        return torch.softmax(logits, dim=1) if self.softmax else logits
