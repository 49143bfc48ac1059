"""The demo world's dual encoder: a small residual image tower and a one-block text tower."""

import torch
from torch import nn
from torch.nn import functional

DIMENSION = 192
WORD_DIMENSION = 128
HEADS = 4
MAX_TOKENS = 32


def convolve(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    """Convolution and batch norm; both become one node when exported."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolve(inputs, outputs, 3, stride)
        self.second = convolve(outputs, outputs, 3)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolve(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


class ImageTower(nn.Module):
    """[batch, 3, 64, 64] in -1..1 → unit embeddings [batch, 192].

    Features are pooled by their maximum over places: a picture is the sum of what it shows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(convolve(3, 32, 5, 2), nn.ReLU()),
            *(Block(32, 64, 2), Block(64, 128, 2), Block(128, 128, 1)),
            *(convolve(128, 320, 1), nn.ReLU()),
        )
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.project = nn.Linear(320, DIMENSION)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        pooled = self.pool(self.features(pixel_values)).flatten(1)
        return functional.normalize(self.project(pooled), dim=-1)


class TextTower(nn.Module):
    """Token ids and mask [batch, tokens] → unit embeddings [batch, 192]."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, WORD_DIMENSION)
        self.places = nn.Parameter(torch.randn(MAX_TOKENS, WORD_DIMENSION) * 0.02)
        self.before = nn.LayerNorm(WORD_DIMENSION)
        self.mix = nn.Linear(WORD_DIMENSION, 3 * WORD_DIMENSION)
        self.out = nn.Linear(WORD_DIMENSION, WORD_DIMENSION)
        self.after = nn.LayerNorm(WORD_DIMENSION)
        self.widen = nn.Linear(WORD_DIMENSION, 2 * WORD_DIMENSION)
        self.narrow = nn.Linear(2 * WORD_DIMENSION, WORD_DIMENSION)
        self.project = nn.Linear(WORD_DIMENSION, DIMENSION)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        x = self.words(input_ids) + self.places[: input_ids.shape[1]]
        mask = attention_mask.to(x.dtype)
        queries, keys, values = (
            part.unflatten(-1, (HEADS, WORD_DIMENSION // HEADS)).transpose(1, 2)
            for part in self.mix(self.before(x)).chunk(3, dim=-1)
        )
        scores = queries @ keys.transpose(-1, -2) * (WORD_DIMENSION // HEADS) ** -0.5
        scores = scores + (mask - 1.0)[:, None, None, :] * 1e4
        x = x + self.out((scores.softmax(-1) @ values).transpose(1, 2).flatten(-2))
        x = x + self.narrow(functional.gelu(self.widen(self.after(x))))
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1.0)
        return functional.normalize(self.project(mean), dim=-1)


class DualEncoder(nn.Module):
    """Both towers with the two scales that the losses learn."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.image = ImageTower()
        self.text = TextTower(words)
        self.caption_scale = nn.Parameter(torch.tensor(2.5))  # logarithm, captions x pictures
        self.phrase_scale = nn.Parameter(torch.tensor(2.5))  # logarithm, phrases x pictures
        self.phrase_offset = nn.Parameter(torch.tensor(-6.0))
