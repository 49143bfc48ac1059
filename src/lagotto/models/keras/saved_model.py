"""What the readers of all three forms hand on: a configuration, and how its weights are found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lagotto.core.parsing.name_list import NameList
from lagotto.core.types import JsonObject
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.keras.configuration import NetworkConfig
from lagotto.models.metadata.description import InputDescription

LayerPath = tuple[str, ...]
"""The names of the models in which a layer lies, then its own."""

LayerWeights = Mapping[LayerPath, Mapping[str, StoredTensor]]
"""The weights of each layer, by their names in it."""


@dataclass(frozen=True, slots=True)
class SavedNetwork:
    """A model of the Keras family as a file holds it.

    Args:
        topology: Its configuration: {"class_name": ..., "config": ...}.
        version: The major version of Keras that wrote it.
        weights: Finds the weights of each layer of a network.
        labels: The names of the classes, if the file has them.
        input: What the file says of its pictures.
        notes: What a user should know, one line each.
    """

    topology: JsonObject
    version: int
    weights: Callable[[NetworkConfig], LayerWeights]
    labels: NameList | None = None
    input: InputDescription = field(default_factory=InputDescription)
    notes: tuple[str, ...] = ()
