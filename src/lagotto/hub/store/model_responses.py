"""A model of the hub, or a file outside it, comes in; its raw responses and labels go out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True, slots=True)
class ModelResponses:
    """A model's raw responses on every probe, and its published labels.

    `name` is its name in the hub, or the path of a file outside it.
    """

    name: str
    in_hub: bool
    values: Float32[np.ndarray, "probes logits"]
    labels: tuple[str | None, ...]
