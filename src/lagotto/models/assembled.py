"""A file of another form comes in translated; an ONNX model that Lagotto wrote itself goes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

from lagotto.core.types import Layout
from lagotto.models.metadata.embedded import EmbeddedMetadata

EXTERNAL_LOCATION = "weights"
"""The location that an external initializer of an assembled model names; no file is opened."""


@dataclass(frozen=True, slots=True)
class AssembledModel:
    """An ONNX model that Lagotto wrote itself, from a file of another form.

    Args:
        data: The bytes of the model.
        framework: Name of the framework of the file, for the record: "torch", "keras", ...
        layout: The layout to assume if the shape of the input fits both.
        weights: The values of its external initializers, by name. A graph declares such an
            initializer with its type and shape, and with EXTERNAL_LOCATION as its location.
        embedded: What the file says of its labels, its input and its architecture.
    """

    data: bytes
    framework: str
    layout: Layout
    weights: Mapping[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)
    embedded: EmbeddedMetadata = field(default_factory=EmbeddedMetadata)
