"""Tensors as pruning, weight norm and spectral norm save them come in; plain weights go out.

- Pruning, `weight_orig` and `weight_mask`: their product.
- Weight norm, `weight_g` and `weight_v`, or `parametrizations.weight.original0` and `original1`:
  the direction v at the length g.
- Spectral norm, `weight_orig`, `weight_u` and `weight_v`, or `parametrizations.weight.original`,
  `0._u` and `0._v`: the weight W over u W v.

All are as torch computes them in evaluation. Other parametrizations stay as they are saved, so that
no architecture has their names.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from lagotto.models.checkpoints.checkpoint import StoredTensor

Values = Shaped[np.ndarray, "..."]


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to save a weight: the endings of its parts, the first in place of the weight's."""

    endings: tuple[str, ...]
    fits: Callable[..., bool]
    merge: Callable[..., Values]
    shape_of: int = 0


def plain_weights(tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The tensors, with the parts of each weight as one; each is computed when it is read."""
    network = dict(tensors)
    for name in tensors:
        for form in _FORMS:
            if not name.endswith(form.endings[0]):
                continue
            stem = name.removesuffix(form.endings[0])
            given = [network.get(stem + ending) for ending in form.endings]
            parts = [part for part in given if part is not None]
            if len(parts) < len(given) or not form.fits(*(part.shape for part in parts)):
                continue
            taken = {stem + ending for ending in form.endings}
            plain = _PLAIN.sub(r"\1", stem)
            merged = _merged(parts, form)
            network = {
                (plain if key == name else key): (merged if key == name else item)
                for key, item in network.items()
                if key == name or key not in taken
            }
            break
    return network


_PLAIN = re.compile(r"parametrizations\.(\w+)$")


def _merged(parts: list[StoredTensor], form: _Form) -> StoredTensor:
    def read() -> Values:
        return form.merge(*(part.read() for part in parts))

    of = parts[form.shape_of]
    return StoredTensor(of.dtype, of.shape, read)


def _masked(original: Values, mask: Values) -> Values:
    kept: Values = original * mask.astype(original.dtype)
    return kept


def _normed(length: Values, direction: Values) -> Values:
    axes = tuple(at for at, size in enumerate(length.shape) if size == 1) if length.ndim else None
    wide = direction.astype(np.float64)
    norm = np.sqrt(np.sum(wide * wide, axis=axes, keepdims=length.ndim > 0))
    plain: Values = (length * (wide / norm)).astype(direction.dtype)
    return plain


def _is_normed(length: tuple[int, ...], direction: tuple[int, ...]) -> bool:
    sizes = zip(length, direction, strict=False)
    return not length or (
        len(length) == len(direction) > 1 and all(one in (1, size) for one, size in sizes)
    )


def _spectral(original: Values, left: Values, right: Values) -> Values:
    """As torch does it: rows are the first axis, or the second for transposed convolutions."""
    axis = _rows(original.shape, left.shape[0], right.shape[0])
    matrix = np.moveaxis(original, axis, 0).reshape(left.shape[0], -1).astype(np.float64)
    plain: Values = (original / (left @ (matrix @ right))).astype(original.dtype)
    return plain


def _rows(shape: tuple[int, ...], rows: int, columns: int) -> int:
    return 0 if shape[0] == rows and shape[0] * columns == int(np.prod(shape)) else 1


def _is_spectral(original: tuple[int, ...], left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    if len(original) < 2 or len(left) != 1 or len(right) != 1:
        return False
    return left[0] in original[:2] and left[0] * right[0] == int(np.prod(original))


def _is_mask(original: tuple[int, ...], mask: tuple[int, ...]) -> bool:
    return original == mask


_FORMS = (
    _Form(("_orig", "_mask"), _is_mask, _masked),
    _Form(("_orig", "_u", "_v"), _is_spectral, _spectral),
    _Form(("_g", "_v"), _is_normed, _normed, 1),
    _Form((".original0", ".original1"), _is_normed, _normed, 1),
    _Form((".original", ".0._u", ".0._v"), _is_spectral, _spectral),
)
