"""Architectures come in; skeletons.zip, their graphs without weights, goes out.

    python scripts/make_skeletons.py --build /tmp/skeletons        # half an hour; once a release

Needs torch, torchvision, timm, onnx and onnxruntime. Each network gets random weights and is traced
by torch.onnx. Its skeleton is filled with these weights and compared with the network, also on
pictures of other sizes where it takes them. A network that differs by more than 1e-4 is left out.
Finished ones are kept in the folder --build, so a run that was stopped goes on.
"""

import argparse
import fnmatch
import json
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import timm
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from architectures.catalogue import Architecture, architectures, without_weights
from architectures.drawing import DrawingError, draw
from lagotto.models.architectures.skeletons import SKELETONS_FILE, pack_skeleton

PATTERNS = (Path(__file__).parent / "architectures" / "chosen.txt").read_text().split()
"""The networks of timm that people use, as patterns of names; those of other libraries are all."""

MAX_PARAMETERS = 92_000_000
"""Larger networks are not drawn, but for VGG: they are run by timm itself."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Draws the skeletons that are missing in --build, then packs all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="folder for what is drawn")
    parser.add_argument("--out", type=Path, default=SKELETONS_FILE)
    parser.add_argument("--only", default="*", help="pattern of library/name")
    arguments = parser.parse_args()
    arguments.build.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # the fused operators have no ONNX form
    timm.layers.set_fused_attn(False)
    for architecture in _chosen(arguments.only):
        _draw_once(architecture, arguments.build)
    _pack(arguments.build, arguments.out)


def _chosen(only: str) -> Iterator[Architecture]:
    """The networks to draw; those of timm in the order of their patterns."""
    for _, _, architecture in sorted(
        (_rank(architecture), at, architecture)
        for at, architecture in enumerate(architectures())
        if fnmatch.fnmatchcase(architecture.key, only) and _rank(architecture) < len(PATTERNS)
    ):
        network = without_weights(architecture)
        count = sum(value.numel() for value in network.parameters())
        if count <= MAX_PARAMETERS or architecture.name.startswith("vgg"):
            yield architecture


def _rank(architecture: Architecture) -> int:
    if architecture.library != "timm":
        return -1
    fitting = (fnmatch.fnmatchcase(architecture.name, pattern) for pattern in PATTERNS)
    return next((at for at, fits in enumerate(fitting) if fits), len(PATTERNS))


def _draw_once(architecture: Architecture, build: Path) -> None:
    stem = architecture.key.replace("/", "__")
    file, refused = build / f"{stem}.skeleton", build / f"{stem}.json"
    if file.is_file() or refused.is_file():
        return
    try:
        skeleton = draw(architecture)
    except DrawingError as error:
        refused.write_text(json.dumps(str(error)))
        print(f"{architecture.key}: left out: {error}", flush=True)
        return
    file.write_bytes(pack_skeleton(skeleton))
    print(
        f"{architecture.key}: open {skeleton.is_open}, batch {skeleton.batch}, "
        f"error {skeleton.error:.1e}",
        flush=True,
    )


def _pack(build: Path, out: Path) -> None:
    files = sorted(build.glob("*.skeleton"))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.stem.replace("__", "/", 1), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    print(f"{len(files)} skeletons, {out.stat().st_size} bytes")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
