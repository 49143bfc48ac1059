"""Models that clients send or name come in; files of the hub, or remote specs, go out."""

import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from lagotto.core.files import replacing
from lagotto.web.problems import Problem

ADDED = "added"
"""The folder of a hub for the files of models that clients sent: models are run from there."""

_REMOTE = re.compile(r"(hf|timm):[A-Za-z0-9][A-Za-z0-9._/@-]{0,300}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_ENDINGS = (".onnx", ".tflite", ".keras", ".h5", ".pt", ".pth", ".safetensors")
_CHUNK = 1 << 20


def check_remote(source: str) -> str:
    """A remote spec as it is; raises Problem (400) for anything else, such as a path."""
    if not _REMOTE.fullmatch(source) or ".." in source:
        raise Problem(
            400, f"{source[:80]!r} names no remote model; give hf:ORG/NAME[@REV] or timm:NAME"
        )
    return source


def store_model(hub: Path, name: str, content: BinaryIO) -> Path:
    """Writes the file of a model into the hub's folder, under its digest and its own last name.

    Args:
        hub: The hub's folder.
        name: The file's name as the client says it; only its last part counts.
        content: The bytes.

    Raises:
        Problem: 400 for a name that is not plain, or of no kind of model file.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    if not _NAME.fullmatch(last) or not last.lower().endswith(_ENDINGS):
        raise Problem(
            400,
            f"file name {last[:80]!r}: give letters, digits, '.', '_' and '-', ending in one of "
            f"{', '.join(_ENDINGS)}",
        )
    digest = sha256()
    content.seek(0)
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    folder = hub / ADDED / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    content.seek(0)
    with replacing(folder / last) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
    return folder / last
