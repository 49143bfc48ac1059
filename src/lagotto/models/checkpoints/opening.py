"""The path of a checkpoint comes in; its tensors, labels and settings go out, nothing of it run."""

from collections.abc import Mapping
from dataclasses import replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.parsing.name_list import NameList
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_there
from lagotto.core.types import JsonObject
from lagotto.models.checkpoints.checkpoint import Checkpoint, StoredTensor
from lagotto.models.checkpoints.modules import module_layers
from lagotto.models.checkpoints.names import network_names
from lagotto.models.checkpoints.pickles.inert import UnreadableError
from lagotto.models.checkpoints.safetensors_file import (
    INDEX_ENDING,
    check_not_shard,
    index_shards,
    is_safetensors,
    read_safetensors,
)
from lagotto.models.checkpoints.stated import inner_normalization, read_stated
from lagotto.models.checkpoints.tensor_values import PickledFile, small_numbers, store_tensor
from lagotto.models.checkpoints.torch_legacy import read_pickles
from lagotto.models.checkpoints.torch_zip import read_torch_zip
from lagotto.models.checkpoints.weight_sets import choose_weights
from lagotto.models.files.weights import check_size
from lagotto.models.metadata.embedded import read_properties

_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_IN_OLD_TAR = (b"sys_info", b"pickle", b"storages", b"tensors")
"""What torch before 0.1.10 put in a tar, in any order."""

_TAR_NAMES = (0, 1024)
"""Where the name of its first file stands: at once, or behind a header with the time."""

_PIECES = (".distcp", ".metadata")


def open_checkpoint(file: Path, as_saved: bool = False) -> Checkpoint:
    """What a checkpoint holds. Tensors are checked, and read when they are asked for.

    Args:
        file: A file of torch.save (of any version), torch.jit.save or safetensors, or the index of
            a checkpoint in shards ("model.safetensors.index.json").
        as_saved: Whether the tensors keep the names that they have in the file.

    Returns:
        Its tensors by their names in the network, and what else the file says of it.

    Raises:
        ModelError: It is no checkpoint, damaged, or of a form that is not read. The message says
            what it is and what to do.
    """
    if file.name.endswith(INDEX_ENDING):
        return _sharded(file, as_saved)
    check_size(file)
    try:
        check_not_shard(file)
        opened = _open(file)
        return opened if as_saved else _named(opened)
    except UnreadableError as error:
        raise ModelError(f"{file.name} is not read: {error}") from error


def _open(file: Path) -> Checkpoint:
    """What a file holds, with the names of its tensors as saved."""
    return _checkpoint(file, _mapped(file))


def _named(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the names that its tensors have in the network alone."""
    network, described, note = inner_normalization(checkpoint.tensors)
    tensors, left_out = network_names(network)
    prefix = _taken_off(network, tensors)
    stated = checkpoint.input
    if described.mean:
        stated = replace(stated, scale=described.scale, mean=described.mean, std=described.std)
    return replace(
        checkpoint,
        tensors=tensors,
        input=stated,
        layers={path.removeprefix(prefix): kind for path, kind in checkpoint.layers.items()},
        weighted={path.removeprefix(prefix): kind for path, kind in checkpoint.weighted.items()},
        notes=(*checkpoint.notes, *note, *left_out),
    )


def _taken_off(saved: Mapping[str, StoredTensor], tensors: Mapping[str, StoredTensor]) -> str:
    """What the names of the tensors began with in the file, and do not in the network."""
    named = {id(tensor): name for name, tensor in tensors.items()}
    for name, tensor in saved.items():
        if id(tensor) in named:
            return name.removesuffix(named[id(tensor)])
    return ""


def _mapped(file: Path) -> mmap:
    try:
        with file.open("rb") as stream:
            return mmap(stream.fileno(), 0, access=ACCESS_READ)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise ModelError(f"{file.name} is empty; download or save it again") from error


def _checkpoint(file: Path, data: mmap) -> Checkpoint:
    """What a file holds, by its first bytes: people call all of these .pt, .pth or .bin."""
    if data[:4] == _ZIP:
        return _pickled(read_torch_zip(data))
    if is_safetensors(data):
        return _plain(*read_safetensors(data))
    _check_form(file, data)
    return _pickled(read_pickles(data))


def _check_form(file: Path, data: mmap) -> None:
    """Refuses what is no pickle, by name."""
    if file.name.endswith(_PIECES):
        raise UnreadableError(
            "it is a piece of a distributed checkpoint (DCP); join the pieces with "
            "torch.distributed.checkpoint.format_utils.dcp_to_torch_save"
        )
    if data[:8] == _HDF5:
        raise UnreadableError("it is an HDF5 file, as Keras writes it; call it .h5")
    if data[257:262] == b"ustar":
        if not any(data[at : at + 100].rstrip(b"\0") in _IN_OLD_TAR for at in _TAR_NAMES):
            raise UnreadableError("it is a tar archive; unpack it first")
        raise UnreadableError(
            "it is a tar, as torch before 0.1.10 wrote checkpoints; if you trust its author, as "
            "torch runs what is in it: "
            "torch.save(torch.load(file, map_location='cpu', weights_only=False), 'new.pth')"
        )
    if data[:1] == b"\x80":  # a pickle of protocol 2 or later, and no text
        return
    instead = what_lies_there(data[:HEAD_BYTES])
    if instead is not None:
        raise UnreadableError(f"it is {instead}")
    if data[-1:] != b".":  # with which old pickles end
        raise UnreadableError(
            "it begins like no checkpoint of torch and no safetensors; give a file of torch.save"
        )


def _pickled(pickled: PickledFile) -> Checkpoint:
    chosen = choose_weights(pickled.value)
    stored = {
        name: store_tensor(name, tensor, pickled.storages)
        for name, tensor in chosen.tensors.items()
    }
    shapes = {name: tensor.shape for name, tensor in stored.items()}
    facts = read_stated(
        pickled.value, chosen.owner, shapes, lambda tensor: small_numbers(tensor, pickled.storages)
    )
    plain, weighted = module_layers(chosen.owner) if chosen.module_class else ({}, {})
    return Checkpoint(
        pickled.container,
        stored,
        chosen.place,
        chosen.module_class,
        facts.labels,
        facts.input,
        facts.settings,
        (*chosen.notes, *facts.notes),
        plain,
        weighted,
    )


def _plain(tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> Checkpoint:
    """A checkpoint of safetensors, whose metadata are texts."""
    if not tensors:
        raise UnreadableError("it holds no tensor; save the state dict")
    stated = read_properties(metadata).description
    labels = stated.labels if isinstance(stated.labels, NameList) else None
    settings: JsonObject = dict(metadata)
    return Checkpoint("safetensors", tensors, "", "", labels, stated.input, settings)


def _sharded(file: Path, as_saved: bool) -> Checkpoint:
    """All shards that an index names, as one checkpoint."""
    shards = index_shards(file)
    check_size(file, shards)
    tensors: dict[str, StoredTensor] = {}
    for shard in shards:
        try:
            opened = _open(shard)
        except UnreadableError as error:
            raise ModelError(
                f"{shard.name}, a shard of {file.name}, is not read: {error}"
            ) from error
        tensors |= opened.tensors
    container = f"{opened.container} in {len(shards)} shards"
    joined = Checkpoint(container, tensors, settings=opened.settings)
    try:
        return joined if as_saved else _named(joined)
    except UnreadableError as error:
        raise ModelError(f"{file.name} is not read: {error}") from error
