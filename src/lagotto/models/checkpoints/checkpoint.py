"""A file of weights comes in; what it holds goes out as plain values, without running any of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

from lagotto.core.parsing.name_list import NameList
from lagotto.core.types import JsonObject
from lagotto.models.metadata.description import InputDescription


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a checkpoint, checked against the bytes that are there, and not read yet.

    Args:
        dtype: The type in which it is saved, by its name in torch: "float32", "bfloat16", ...
        shape: Its sizes.
        read: Gives its values, in C order. bfloat16 is widened to float32; all other types stay as
            they are saved.
    """

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Shaped[np.ndarray, "..."]]


@dataclass(frozen=True, slots=True)
class PlainLayer:
    """A layer of a pickled module without its tensors, for example an activation.

    Args:
        name: Its class with the module of that: "torch.nn.modules.activation.LeakyReLU".
        settings: Its attributes that are numbers, a few of them, or texts: {"stride": [2, 2]}.
    """

    name: str
    settings: JsonObject = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The class alone: "LeakyReLU"."""
        return self.name.rpartition(".")[2]

    @property
    def is_script(self) -> bool:
        """Whether it is of TorchScript, which has some settings in its code only."""
        return self.name.startswith("__torch__.")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds.

    Args:
        container: The form of the file, for example "torch zip" or "torch legacy".
        tensors: The parameters and buffers of the network by their names in its state dict, in the
            order of the file. Prefixes of wrappers (`module.`, `model.`, ...) are taken off.
        found_at: Where in the file they lie, for example "ema.state_dict"; "" for the top.
        module_class: The class of a whole pickled module, for example
            "torchvision.models.resnet.ResNet"; "" where only tensors are saved.
        labels: The names of the classes, if the file has them.
        input: What the file says of its pictures.
        settings: Plain hyper-parameters, for example {"arch": "resnet50"}.
        layers: Of a whole pickled module: its layers without tensors, by their path in the
            network: {"layer1.0.relu": PlainLayer("torch.nn.modules.activation.ReLU")}.
        weighted: Of a whole pickled module: its layers with tensors, by their path, for what is
            beside these: {"conv1": PlainLayer("torch.nn.modules.conv.Conv2d", {"stride": [2, 2]})}.
        notes: What a user should know, one line each: a choice between several sets of weights,
            parts that were not read.
    """

    container: str
    tensors: Mapping[str, StoredTensor]
    found_at: str = ""
    module_class: str = ""
    labels: NameList | None = None
    input: InputDescription = field(default_factory=InputDescription)
    settings: JsonObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    layers: Mapping[str, PlainLayer] = field(default_factory=dict)
    weighted: Mapping[str, PlainLayer] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors by name; this is all that recognition reads."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}
