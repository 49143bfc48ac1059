"""The path of a checkpoint comes in; its tensors, labels and settings go out, nothing of it run."""

from mmap import ACCESS_READ, mmap
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.checkpoint import Checkpoint
from lagotto.models.checkpoints.inert import UnreadableError
from lagotto.models.checkpoints.names import network_names
from lagotto.models.checkpoints.tensor_values import PickledFile, store_tensor
from lagotto.models.checkpoints.torch_legacy import read_pickles
from lagotto.models.checkpoints.torch_zip import read_torch_zip
from lagotto.models.checkpoints.weight_sets import choose_weights
from lagotto.models.files.weights import check_size

_ZIP = b"PK\x03\x04"


def open_checkpoint(file: Path) -> Checkpoint:
    """What a checkpoint holds. Tensors are checked, and read when they are asked for.

    Args:
        file: A file of torch.save (of any version), torch.jit.save or safetensors.

    Returns:
        Its tensors by their names in the network, and what else the file says of it.

    Raises:
        ModelError: It is no checkpoint, damaged, or of a form that is not read. The message says
            what it is and what to do.
    """
    check_size(file)
    try:
        data = _mapped(file)
        return _checkpoint(_read(data))
    except UnreadableError as error:
        raise ModelError(f"{file.name} is not read: {error}") from error


def _mapped(file: Path) -> mmap:
    try:
        with file.open("rb") as stream:
            return mmap(stream.fileno(), 0, access=ACCESS_READ)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise ModelError(f"{file.name} is empty; download or save it again") from error


def _read(data: mmap) -> PickledFile:
    if data[:4] == _ZIP:
        return read_torch_zip(data)
    return read_pickles(data)


def _checkpoint(pickled: PickledFile) -> Checkpoint:
    chosen = choose_weights(pickled.value)
    tensors, left_out = network_names(chosen.tensors)
    stored = {
        name: store_tensor(name, tensor, pickled.storages) for name, tensor in tensors.items()
    }
    return Checkpoint(
        pickled.container,
        stored,
        chosen.place,
        chosen.module_class,
        notes=(*chosen.notes, *left_out),
    )
