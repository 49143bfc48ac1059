"""The answers of a model that is asked about: of the hub by name, or outside it by path."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True, slots=True)
class ModelResponses:
    """A model's raw responses, by its name in the hub or by the path of a file outside it."""

    name: str
    in_hub: bool
    values: Float32[np.ndarray, "probes logits"]
    labels: tuple[str | None, ...]
