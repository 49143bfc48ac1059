"""A batch for a device comes in; the output of all its pictures goes out, in runs that fit."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Num, Shaped

from lagotto.core.devices.use import DeviceUse
from lagotto.core.errors import ModelError

_MOST = 32
_CLOSE = 1e-2
"""Of the largest value: a picture in a batch and the same one alone differ by rounding, not more.
"""

RunTensor = Callable[[Num[np.ndarray, "batch a b c"]], Shaped[np.ndarray, "..."]]


class OpenBatches:
    """Runs of a model whose batch is open, or fixed, on the device of a `DeviceUse`.

    The first batch is tried: where a model refuses it, gives not one row a picture, or another row
    for a picture that is alone, its pictures are run one at a time, as on a CPU.
    """

    def __init__(self, use: DeviceUse) -> None:
        self._use = use
        self.most = _MOST
        self._is_tried = False

    def run(
        self, tensor: Num[np.ndarray, "batch a b c"], run: RunTensor
    ) -> Shaped[np.ndarray, "..."]:
        """The output for all rows of a tensor; raises ModelError if the model refuses one alone."""
        if not self._is_tried and len(tensor) > 1:
            self._is_tried = True
            if not self._is_independent(tensor, run):
                self.most = 1
        parts = self._use.run(len(tensor), self.most, lambda rows: run(tensor[rows]), ModelError)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def run_whole(
        self, tensor: Num[np.ndarray, "batch a b c"], run: RunTensor
    ) -> Shaped[np.ndarray, "..."]:
        """The output for a batch that cannot be cut; raises ModelError if it does not fit."""
        return self._use.run(1, 1, lambda _: run(tensor), ModelError)[0]

    def _is_independent(self, tensor: Num[np.ndarray, "batch a b c"], run: RunTensor) -> bool:
        count = len(tensor)
        try:
            parts = self._use.run(count, self.most, lambda rows: run(tensor[rows]), ModelError)
            together = np.concatenate(parts).astype(np.float64)
            alone = run(tensor[:1]).astype(np.float64)
        except (ModelError, ValueError):
            return False
        if together.shape != (count, *alone.shape[1:]):
            return False
        change = np.abs(together[:1] - alone)
        finite = np.isfinite(change)
        largest = float(np.abs(together[np.isfinite(together)]).max(initial=0.0))
        return bool((change[finite] <= _CLOSE * largest).all())
