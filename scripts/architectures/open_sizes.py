"""Networks whose code looks at the size of a picture come in; while traced, they follow any size.

A trace keeps the branch that it took: a window that is not shifted at the traced size is then never
shifted, and a wrong logit comes out at other sizes without an error. What stands here computes
the same with tensors in place of branches, and is used while a graph is drawn. The graph is
compared with the network itself, at sizes that take each of the branches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt
from unittest.mock import patch

import torch
from timm.models import swin_transformer as timm_swin
from torch import nn
from torchvision.models import swin_transformer as torchvision_swin

_APART = -100.0
"""Added to the attention between patches that are no neighbours; as both libraries have it."""


@contextmanager
def any_size() -> Iterator[None]:
    """Within it, these networks of torchvision and timm are traced for any size."""
    with (
        patch.object(nn.AdaptiveAvgPool2d, "forward", _adaptive_average),
        patch.object(nn.MultiheadAttention, "forward", _attention),
        patch.object(torchvision_swin, "shifted_window_attention", _shifted_windows),
        patch.object(timm_swin.SwinTransformerBlock, "_attn", _timm_windows),
    ):
        yield


def _adaptive_average(layer: nn.AdaptiveAvgPool2d, maps: torch.Tensor) -> torch.Tensor:
    """The means of `output_size` cells of a map: one product a side, as cells may overlap."""
    size = layer.output_size
    rows, columns = (size, size) if isinstance(size, int) else size
    if rows == columns == 1:
        return maps.mean((2, 3), keepdim=True)
    of_rows, of_columns = _cells(maps.shape[2], rows), _cells(maps.shape[3], columns)
    return of_rows @ maps @ of_columns.transpose(0, 1)


def _cells(length: int, count: int) -> torch.Tensor:
    """The share [count, length] of every position in the mean of every cell."""
    at = torch.arange(count)
    first, end = at * length // count, ((at + 1) * length + count - 1) // count
    positions = torch.arange(length)
    inside = (positions >= first[:, None]) & (positions < end[:, None])
    return inside.float() / (end - first)[:, None].float()


def _attention(
    layer: nn.MultiheadAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    need_weights: bool = True,
) -> tuple[torch.Tensor, None]:
    """Attention of pictures [pictures, patches, features] to themselves."""
    if not layer.batch_first or query is not key or query is not value or need_weights:
        raise NotImplementedError("attention of another form than that of VisionTransformer")
    pictures, patches, _ = query.shape
    three = nn.functional.linear(query, layer.in_proj_weight, layer.in_proj_bias)
    split = three.reshape(pictures, patches, 3, layer.num_heads, layer.head_dim)
    queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
    weights = (queries / sqrt(layer.head_dim) @ keys.transpose(-2, -1)).softmax(-1)
    mixed = (weights @ values).transpose(1, 2).reshape(pictures, patches, layer.embed_dim)
    return layer.out_proj(mixed), None


def _shifted_windows(  # noqa: PLR0913 - the arguments are those of the function it stands for
    input: torch.Tensor,
    qkv_weight: torch.Tensor,
    proj_weight: torch.Tensor,
    relative_position_bias: torch.Tensor,
    window_size: list[int],
    num_heads: int,
    shift_size: list[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: torch.Tensor | None = None,
    proj_bias: torch.Tensor | None = None,
    logit_scale: torch.Tensor | None = None,
    training: bool = True,
) -> torch.Tensor:
    """Attention within shifted windows, for torchvision: filled up first, then shifted.

    `logit_scale` is that of Swin v2, which takes the cosine and has no bias of the keys.
    """
    height, width = input.shape[1], input.shape[2]
    padded = _padded(input, window_size)
    shifts = [
        torch.where(torch.as_tensor(size) > window, shift, 0)
        for size, window, shift in zip(padded.shape[1:3], window_size, shift_size, strict=True)
    ]
    rolled = _rolled(padded, shifts)
    if logit_scale is not None and qkv_bias is not None:
        third = qkv_weight.shape[0] // 3
        qkv_bias = qkv_bias * torch.cat([torch.ones(third), torch.zeros(third), torch.ones(third)])
    windows = _windows(rolled, window_size)
    three = nn.functional.linear(windows, qkv_weight, qkv_bias)
    channels = input.shape[3] // num_heads
    split = three.reshape(-1, windows.shape[1], 3, num_heads, channels)
    queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
    if logit_scale is None:
        weights = queries * channels**-0.5 @ keys.transpose(-2, -1)
    else:
        weights = _unit(queries) @ _unit(keys).transpose(-2, -1)
        weights = weights * logit_scale.clamp(max=4.605170185988092).exp()  # log 100
    weights = weights + relative_position_bias
    if any(shift_size):
        weights = _with_mask(weights, _apart(rolled, window_size, shifts), num_heads)
    mixed = (weights.softmax(-1) @ values).transpose(1, 2).reshape(windows.shape)
    mixed = nn.functional.linear(mixed, proj_weight, proj_bias)
    back = _rolled(_joined(mixed, rolled, window_size), [-shift for shift in shifts])
    return back[:, :height, :width]


def _timm_windows(block: timm_swin.SwinTransformerBlock, maps: torch.Tensor) -> torch.Tensor:
    """Attention within shifted windows, for timm: shifted first, then filled up."""
    height, width = maps.shape[1], maps.shape[2]
    window = list(block.window_size)
    shifts = [
        torch.where(torch.as_tensor(size) > edge, shift, 0)
        for size, edge, shift in zip(maps.shape[1:3], window, block.target_shift_size, strict=True)
    ]
    padded = _padded(_rolled(maps, shifts), window)
    mask = _apart(padded, window, shifts) if any(block.target_shift_size) else None
    mixed = block.attn(_windows(padded, window), mask=mask)
    joined = _joined(mixed, padded, window)[:, :height, :width]
    return _rolled(joined, [-shift for shift in shifts])


def _padded(maps: torch.Tensor, window: list[int]) -> torch.Tensor:
    """Maps [pictures, height, width, channels], filled up to whole windows."""
    below = (window[0] - maps.shape[1] % window[0]) % window[0]
    right = (window[1] - maps.shape[2] % window[1]) % window[1]
    return nn.functional.pad(maps, (0, 0, 0, right, 0, below))


def _rolled(maps: torch.Tensor, shifts: list[torch.Tensor]) -> torch.Tensor:
    """Maps whose rows and columns are moved up and left by some shifts, round the edge."""
    down, across = shifts
    height, width = maps.shape[1], maps.shape[2]
    down, across = down % height, across % width
    maps = torch.cat((maps[:, down:], maps[:, :down]), 1)
    return torch.cat((maps[:, :, across:], maps[:, :, :across]), 2)


def _windows(maps: torch.Tensor, window: list[int]) -> torch.Tensor:
    """The windows of maps, as [pictures * windows, patches of one, channels]."""
    pictures, height, width, channels = maps.shape
    down, across = window
    split = maps.reshape(pictures, height // down, down, width // across, across, channels)
    return split.permute(0, 1, 3, 2, 4, 5).reshape(-1, down * across, channels)


def _joined(windows: torch.Tensor, maps: torch.Tensor, window: list[int]) -> torch.Tensor:
    """The opposite of `_windows`, in the shape of `maps`."""
    _, height, width, channels = maps.shape
    down, across = window
    split = windows.reshape(-1, height // down, width // across, down, across, channels)
    return split.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)


def _apart(maps: torch.Tensor, window: list[int], shifts: list[torch.Tensor]) -> torch.Tensor:
    """What is added to the attention in each window: _APART between patches of several regions.

    A shift brings rows of both edges of a picture together in the last window. Without a shift the
    regions are whole windows, and nothing is apart.
    """
    regions = []
    for size, edge, shift in zip(maps.shape[1:3], window, shifts, strict=True):
        at = torch.arange(size)
        regions.append((at >= size - edge).long() + (at >= size - shift).long())
    numbers = (3 * regions[0][:, None] + regions[1])[None, :, :, None]
    flat = _windows(numbers, window)[:, :, 0]
    return (flat[:, None] != flat[:, :, None]).float() * _APART


def _with_mask(weights: torch.Tensor, mask: torch.Tensor, heads: int) -> torch.Tensor:
    patches = weights.shape[-1]
    by_picture = weights.reshape(-1, mask.shape[0], heads, patches, patches)
    return (by_picture + mask[None, :, None]).reshape(-1, heads, patches, patches)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return nn.functional.normalize(vectors, dim=-1)
