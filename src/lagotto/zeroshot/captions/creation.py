"""A folder and an encoder come in; a caption store without captions goes out, or is removed."""

from pathlib import Path

from lagotto.core.errors import CaptionError, UsageError
from lagotto.core.files import writing
from lagotto.core.lock import LOCK_NAME, folder_lock
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import measure_canary
from lagotto.encoders.registry import lasting_spec, load_encoder
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.manifest import (
    STORE_MANIFEST,
    CaptionManifest,
    write_store_manifest,
)


def begin_store(folder: Path, encoder: Encoder | str) -> tuple[CaptionManifest, Encoder]:
    """Makes a store without captions, for one encoder, and loads the encoder.

    Raises:
        UsageError: The folder exists and is not empty.
        CaptionError: Another process makes a store there.
    """
    _check_free(folder)
    spec = lasting_spec(encoder) if isinstance(encoder, str) else encoder.info.name
    loaded = load_encoder(spec) if isinstance(encoder, str) else encoder
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder, "caption store", CaptionError):
        _check_free(folder)
        info = loaded.info
        canary = measure_canary(loaded).as_json()
        manifest = CaptionManifest(spec, info.name, info.fingerprint, info.dim, canary)
        write_store_manifest(folder, manifest)
    return manifest, loaded


def remove_empty_store(folder: Path) -> None:
    """Removes a store that holds nothing; the caller holds its lock."""
    names = (*files.DATA_NAMES, files.LOG_NAME, files.NOTE_NAME, STORE_MANIFEST, LOCK_NAME)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if _is_empty(folder):
        folder.rmdir()


def _check_free(folder: Path) -> None:
    if (folder / STORE_MANIFEST).exists():
        raise UsageError(
            f"caption store {folder} exists already; to add to it, or to go on after a run "
            f"that was cut off: lagotto captions add {folder} --pairs PAIRS"
        )
    if folder.is_symlink() or (folder.exists() and not _is_empty(folder)):
        raise UsageError(f"{folder} exists already; choose another name, or delete it first")


def _is_empty(folder: Path) -> bool:
    """True for a folder that holds at most what a killed `begin_store` leaves."""
    return folder.is_dir() and all(
        path.name == LOCK_NAME or path.name.startswith(f".{STORE_MANIFEST}.")
        for path in folder.iterdir()
    )
