"""What a file of pickles and storages holds: the value that names the tensors, and their bytes."""

from dataclasses import dataclass

from lagotto.models.checkpoints.inert import Value
from lagotto.models.checkpoints.tensor_values import Storages


@dataclass(frozen=True, slots=True)
class PickledFile:
    """A file whose pickle was read as inert values. `container` is the form of the file."""

    container: str
    value: Value
    storages: Storages
