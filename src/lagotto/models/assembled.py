"""A file of another form comes in translated; what Lagotto runs in its place goes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Shaped

from lagotto.core.types import Layout
from lagotto.models.metadata.embedded import EmbeddedMetadata

EXTERNAL_LOCATION = "weights"
"""The location that an external initializer of an assembled model names; no file is opened."""

_NAMED = 4


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
        spreads: The standard deviations that the channels of normalized layers had in training, by
            the name of the tensor.
        variants: Other networks that the same tensors fit, by name; each is assembled when called.
    """

    data: bytes
    framework: str
    layout: Layout
    weights: Mapping[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)
    embedded: EmbeddedMetadata = field(default_factory=EmbeddedMetadata)
    spreads: Mapping[str, Float32[np.ndarray, " _"]] = field(default_factory=dict)
    variants: Mapping[str, "Callable[[], AssembledModel]"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LibraryNetwork:
    """A network that its own library has to build, and the tensors to put into it.

    Args:
        library: Name of the library: "timm".
        name: The name of the architecture there.
        classes: The number of outputs.
        channels: The number of channels of its pictures.
        size: The (height, width) of its pictures; None for the default of the architecture.
        weights: The tensors of its state dict.
        embedded: What the file says of its labels, its input and its architecture.
    """

    library: str
    name: str
    classes: int
    channels: int
    size: tuple[int, int] | None
    weights: Mapping[str, Shaped[np.ndarray, "..."]]
    embedded: EmbeddedMetadata


def untried_note(name: str, others: Sequence[str]) -> str:
    """What is said of a network while others with the same tensors are not tried.

    Args:
        name: The network that is run.
        others: The other networks.
    """
    listed = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
    verbs = ("has", "computes") if len(others) == 1 else ("have", "compute")
    return f"taken for {name}; {listed} {verbs[0]} the same tensors and {verbs[1]} something else"
