"""A .keras file, which is a zip archive, comes in; the configuration and the weights go out."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lagotto.core.errors import ModelError, reason
from lagotto.models.files.weights import MAX_WEIGHTS_BYTES, check_size
from lagotto.models.keras.class_names import stated_names
from lagotto.models.keras.configuration import (
    MAX_CONFIG_BYTES,
    NetworkConfig,
    parse_configuration,
    version_of,
)
from lagotto.models.keras.files.hdf5 import MAX_EXPANSION, open_hdf5
from lagotto.models.keras.saved_model import LayerWeights, SavedNetwork
from lagotto.models.keras.weight_names import weights_by_place

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MARK = b"PK\x03\x04"
_OTHER_WEIGHTS = "model.weights.npz"
_MOST_MEMBERS = 10_000
_PIECE_BYTES = 1 << 20
_FREE_BYTES = 1 << 20
# zipfile raises these for a damaged archive, or one with a compression or a password it lacks.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    NotImplementedError,
)


def is_archive(file: Path) -> bool:
    """Whether a file begins as a zip archive; False if it cannot be read."""
    try:
        check_size(file)
        with file.open("rb") as stream:
            return stream.read(4) == _MARK
    except (OSError, ModelError):
        return False


@contextmanager
def open_archive(file: Path) -> Iterator[SavedNetwork]:
    """The model in a .keras file; its arrays can be read while the file is open.

    Only the three members that Keras writes are read, into memory; nothing is extracted.

    Raises:
        ModelError: It is no such archive, or is refused by its content.
    """
    check_size(file)
    length = file.stat().st_size
    parts = _read_members(file, length)
    if _CONFIG not in parts:
        raise ModelError(f"{file.name} has no {_CONFIG}; it was not saved by model.save()")
    if _WEIGHTS not in parts:
        npz = _OTHER_WEIGHTS in parts
        why = f"keeps its weights as {_OTHER_WEIGHTS}" if npz else f"has no {_WEIGHTS}"
        raise ModelError(f"{file.name} {why}; open it with Keras and save it again")
    topology = parse_configuration(parts[_CONFIG], f"{_CONFIG} in {file.name}")
    metadata = parse_configuration(parts.get(_METADATA, b"{}"), f"{_METADATA} in {file.name}")
    version = version_of(metadata.get("keras_version", "3"))
    weights_bytes = parts.pop(_WEIGHTS)
    with open_hdf5(weights_bytes, f"{_WEIGHTS} in {file.name}", len(weights_bytes)) as tree:
        names = {
            group: name
            for group in tree.groups
            if group.endswith("/vars") and (name := tree.text(group, "name")) is not None
        }

        def weights(network: NetworkConfig) -> LayerWeights:
            return weights_by_place(network, tree.arrays, names)

        yield SavedNetwork(topology, version, weights, stated_names(metadata.get, topology))


def _read_members(file: Path, length: int) -> dict[str, bytes]:
    """The members that Keras writes, by their names; each is read no further than allowed."""
    limits = {
        _CONFIG: MAX_CONFIG_BYTES,
        _METADATA: _FREE_BYTES,
        _WEIGHTS: min(length * MAX_EXPANSION + _FREE_BYTES, MAX_WEIGHTS_BYTES),
    }
    parts: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise ModelError(f"{file.name} has over {_MOST_MEMBERS:,} members; it is refused")
            for member in members:
                if member.filename == _OTHER_WEIGHTS:
                    parts[_OTHER_WEIGHTS] = b""
                if member.filename not in limits:
                    continue
                if member.filename in parts:
                    raise ModelError(f"{file.name} has two members {member.filename}")
                parts[member.filename] = _bounded(archive, member, limits[member.filename])
    except _DAMAGE as error:
        raise ModelError(
            f"{file.name} is no whole Keras archive ({reason(error)[:120]}); download or save it "
            "again"
        ) from error
    return parts


def _bounded(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    if member.flag_bits & 1:
        raise ModelError(f"{member.filename} in the archive is encrypted; save it without password")
    if member.file_size > most:
        raise ModelError(
            f"{member.filename} in the archive declares {member.file_size} bytes; at most {most} "
            "are read"
        )
    pieces, size = [], 0
    with archive.open(member) as stream:
        while piece := stream.read(_PIECE_BYTES):
            size += len(piece)
            if size > most:
                raise ModelError(f"{member.filename} in the archive is larger than it declares")
            pieces.append(piece)
    return b"".join(pieces)
