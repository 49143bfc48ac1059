"""A probe set comes in; its pixels go out as arrays, one for each pixel spec, on disk.

Every probe is decoded once, and resized once for each distinct model input.

CACHE/cache.json        which probe set the arrays are of
CACHE/KEY.npy           uint8 [probes, height, width, channels] of one PixelSpec, shared by mapping
CACHE/KEY.crc32.npy     uint32 [probes], the CRC-32 of each probe's pixels
CACHE/KEY.partial.npy, KEY.crc32.partial.npy   the same while they are being filled

All of it is derived; it may be deleted whenever no model is being probed.
"""

import os
import re
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple, get_args

import numpy as np
from jaxtyping import UInt, UInt8
from PIL.Image import Image

from lagotto.core.errors import HubError, PictureError, ProbeError
from lagotto.core.files import (
    canonical_json,
    read_array,
    read_json,
    sync,
    write_atomically,
    writing,
)
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import JsonObject, JsonValue, PixelSpec, Resample, Resize
from lagotto.hub.probes.probe_set import (
    ProbeSet,
    ProbeSetHeader,
    read_header,
)

_FORMAT = "lagotto-probe-cache"
_VERSION = 2
"""Raised whenever core.images gives other pixels; caches of another version are made anew."""

SIDECAR_NAME = "cache.json"
_SUMS = ".crc32.npy"
_NO_ARRAYS = (_SUMS, ".partial.npy")
_IS_PIXELS = re.compile(r"\d+x\d+-")  # other rooms keep their own files in the folder
_SUM_DTYPE: np.dtype[Any] = np.dtype("<u4")


def spec_to_json(spec: PixelSpec) -> JsonObject:
    """A PixelSpec as tasks and the catalogue hold it; `spec_from_json` reads it back."""
    return {
        "height": spec.height,
        "width": spec.width,
        "grey": spec.grey,
        "resize": spec.resize,
        "crop_fraction": spec.crop_fraction,
        "resample": spec.resample,
    }


def spec_from_json(value: JsonValue) -> PixelSpec:
    """The PixelSpec that `spec_to_json` wrote; raises ProbeError for anything else."""
    match value:
        case {
            "height": int(height),
            "width": int(width),
            "grey": bool(grey),
            "resize": "stretch" | "crop" as resize,
            "crop_fraction": int(fraction) | float(fraction),
            "resample": "nearest" | "bilinear" | "bicubic" | "lanczos" as resample,
        } if height > 0 and width > 0:
            return PixelSpec(height, width, grey, resize, float(fraction), resample)
    raise ProbeError(
        f"not a pixel spec: {value!r}; it needs height, width, grey, resize "
        f"({'|'.join(get_args(Resize))}), crop_fraction, resample ({'|'.join(get_args(Resample))})"
    )


def fill_cache(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Fills one range of partial arrays; the entry of a task.

    Args:
        payload: {"probes": folder, "cache": folder, "specs": [...], "start": i, "stop": j}.
        progress: Receives the probes decoded.

    Returns:
        {"start": i, "stop": j}.

    Raises:
        ProbeError: The payload is something else, or a probe can no longer be decoded.
        HubError: A probe is damaged, a partial array is not allocated, or the disk is full.
    """
    match payload:
        case {
            "probes": str(probes),
            "cache": str(cache),
            "specs": list(specs),
            "start": int(start),
            "stop": int(stop),
        }:
            pixel_specs = [spec_from_json(spec) for spec in specs]
            ProbeCache(Path(probes), Path(cache)).fill(pixel_specs, start, stop, progress)
            return {"start": start, "stop": stop}
    raise ProbeError(f"not a task to fill a probe cache: {payload!r}")


class ProbeCache:
    """The arrays of one probe set in one folder.

    To make missing arrays: call `allocate`, then `fill` for every range (ranges may be filled by
    several processes at once, each range by one), then `finish`. A kill on the way leaves partial
    files only; the next `allocate` replaces them.
    """

    def __init__(self, probe_folder: Path, cache_folder: Path) -> None:
        """Reads only the header of the probe set; raises HubError if there is none."""
        self._probe_folder = probe_folder
        self._folder = cache_folder
        self._header: ProbeSetHeader = read_header(probe_folder)

    def path(self, spec: PixelSpec) -> Path:
        """Where the finished array of a spec is, or will be."""
        return self._folder / f"{spec.key}.npy"

    def missing(self, specs: Sequence[PixelSpec]) -> list[PixelSpec]:
        """The pixel specs without a finished, intact array of this probe set, each once.

        All arrays are read: altered pixels would make every later model's responses wrong.
        """
        return [spec for spec in dict.fromkeys(specs) if not self._is_intact(spec)]

    def damaged(self) -> list[Path]:
        """The finished arrays in the folder whose pixels were altered; reads all of them."""
        if not self._is_current():
            return []
        names = sorted(path for path in self._folder.glob("*.npy") if _IS_PIXELS.match(path.name))
        arrays = [path for path in names if not path.name.endswith(_NO_ARRAYS)]
        return [path for path in arrays if not _agree(path, path.with_name(path.stem + _SUMS))]

    def open(self, spec: PixelSpec) -> UInt8[np.ndarray, "probes height width channels"]:
        """The finished array of a pixel spec, memory-mapped, read-only.

        Raises:
            HubError: There is none, it is damaged, or it is of another probe set.
        """
        if not self._is_current():
            raise HubError(f"probe cache {self._folder} is not of this probe set; {_REMAKE}")
        try:
            pixels = read_array(self.path(spec), HubError, mapped=True)
        except HubError as error:
            raise HubError(f"no probe cache: {error}; {_REMAKE}") from error
        if pixels.dtype != np.uint8 or pixels.shape != self._shape(spec):
            raise HubError(f"{self.path(spec)} is not the array it is named for; {_REMAKE}")
        return pixels

    def allocate(self, specs: Sequence[PixelSpec]) -> None:
        """Makes empty partial arrays of full size and reserves their space on disk.

        A cache of another probe set, or of another version of the decoding, is removed first.

        Raises:
            HubError: The disk has no room.
        """
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._is_current():
                for stale in self._folder.glob("*.npy"):
                    stale.unlink()
                write_atomically(self._folder / SIDECAR_NAME, canonical_json(self._identity()))
        for spec in dict.fromkeys(specs):
            for part in self._parts(spec):
                with writing(part.path):
                    # A new file, not the old one emptied: a killed run's process may still have it.
                    part.path.unlink(missing_ok=True)
                    with part.path.open("xb") as file:
                        _reserve(file, part)

    def fill(
        self,
        specs: Sequence[PixelSpec],
        start: int,
        stop: int,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Decodes each probe in [start, stop) once and writes it to the partial array of each spec.

        Args:
            specs: The pixel specs; their partial arrays must be allocated.
            start: The first probe.
            stop: The end of the range; at most the number of probes counts.
            progress: Receives each probe.

        Raises:
            HubError: A probe is damaged, a partial array is not allocated, or the disk is full.
        """
        probe_set = ProbeSet.open(self._probe_folder)
        stop = min(stop, len(probe_set.probes))
        with ExitStack() as stack:
            outputs = []
            for spec in dict.fromkeys(specs):
                array, sums = (_open_part(part, stack) for part in self._parts(spec))
                outputs.append((spec, array, sums))
            for index in range(start, stop):
                picture = _decode(probe_set, index)
                for spec, array, sums in outputs:
                    # Written, not mapped: on a full disk that is an error, not a SIGBUS.
                    pixels = np.ascontiguousarray(to_pixels(picture, spec))
                    crc = np.array([zlib.crc32(pixels.data.cast("B"))], _SUM_DTYPE)
                    with writing(self._folder):
                        _write_row(array, pixels, index)
                        _write_row(sums, crc, index)
                if progress is not None:
                    progress(1)

    def finish(self, specs: Sequence[PixelSpec]) -> None:
        """Renames the partial arrays to finished ones; call it when every range is filled."""
        for spec in dict.fromkeys(specs):
            array, sums = self._parts(spec)
            with writing(self.path(spec)):
                sync(array.path)
                sync(sums.path)
                os.replace(sums.path, self._sums(spec))
                os.replace(array.path, self.path(spec))
        with writing(self._folder):
            sync(self._folder)

    def _sums(self, spec: PixelSpec) -> Path:
        return self._folder / f"{spec.key}{_SUMS}"

    def _parts(self, spec: PixelSpec) -> tuple["_Part", "_Part"]:
        """The array of a spec and the sums of its probes, while they are filled."""
        array, sums = self.path(spec), self._sums(spec)
        return (
            _Part(array.with_suffix(".partial.npy"), np.dtype(np.uint8), self._shape(spec)),
            _Part(sums.with_suffix(".partial.npy"), _SUM_DTYPE, (self._header.count,)),
        )

    def _is_intact(self, spec: PixelSpec) -> bool:
        try:
            self.open(spec)
        except HubError:
            return False
        return _agree(self.path(spec), self._sums(spec))

    def _shape(self, spec: PixelSpec) -> tuple[int, int, int, int]:
        return (self._header.count, *spec.shape)

    def _identity(self) -> JsonObject:
        return {"format": _FORMAT, "version": _VERSION, "probes": self._header.digest}

    def _is_current(self) -> bool:
        """True if the folder's cache.json names this probe set and this version."""
        try:
            return (
                read_json(self._folder / SIDECAR_NAME, "cache.json", HubError) == self._identity()
            )
        except HubError:
            return False


_REMAKE = "it is made anew by: lagotto hub add"


def _decode(probe_set: ProbeSet, index: int) -> Image:
    """The picture of a probe; ProbeError if it could be decoded once and no longer can."""
    try:
        return decode_picture(probe_set.picture(index))
    except PictureError as error:
        source = probe_set.probes[index].source
        raise ProbeError(
            f"probe {index} ({source}) can no longer be decoded: {error}; "
            "use the version of pillow with which the hub was created"
        ) from error


class _Part(NamedTuple):
    """A file of the cache while it is filled: its dtype, and its shape with a row a probe."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def _reserve(file: IO[bytes], part: _Part) -> None:
    """Writes the header of an array and gives the file its full size."""
    header = {
        "descr": np.lib.format.dtype_to_descr(part.dtype),
        "fortran_order": False,
        "shape": part.shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
    size = file.tell() + part.dtype.itemsize * int(np.prod(part.shape, dtype=np.int64))
    file.flush()
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _open_part(part: _Part, stack: ExitStack) -> tuple[int, int]:
    """The descriptor of an allocated file, closed by the stack, and the offset of its first row.

    Raises HubError if it is not an array of this dtype and shape.
    """
    with writing(part.path):
        file = stack.enter_context(part.path.open("r+b"))
    try:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # as in read_array
        raise HubError(f"{part.path} is damaged: {error}; {_REMAKE}") from error
    if shape != part.shape or dtype != part.dtype:
        raise HubError(f"{part.path} is not of this probe set; {_REMAKE}")
    return file.fileno(), file.tell()


def _agree(array: Path, sums: Path) -> bool:
    """Whether the pixels of every probe have the CRC-32 that was kept of them."""
    try:
        pixels = read_array(array, HubError, mapped=True)
        kept = read_array(sums, HubError)
    except HubError:
        return False
    if pixels.ndim != 4 or kept.shape != pixels.shape[:1] or kept.dtype != _SUM_DTYPE:
        return False
    return all(
        zlib.crc32(np.ascontiguousarray(row).data.cast("B")) == crc
        for row, crc in zip(pixels, kept.tolist(), strict=True)
    )


def _write_row(place: tuple[int, int], row: UInt[np.ndarray, "..."], index: int) -> None:
    """Writes all bytes of a contiguous row of an array; `place` is that of `_open_part`."""
    descriptor, first = place
    rest, offset = row.data.cast("B"), first + index * row.nbytes
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
