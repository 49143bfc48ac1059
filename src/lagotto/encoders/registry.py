"""A spec (a folder, `hf:ORG/NAME`, `open_clip:ARCH/TAG`, a name) comes in; its encoder goes out."""

import os
from pathlib import Path

from lagotto.core.devices.placement import CPU, check_device, place
from lagotto.core.errors import UsageError
from lagotto.core.registry import Adapter, load_adapter, suggest
from lagotto.core.remote.spec import REPOSITORY
from lagotto.core.sources.bundled import BUNDLED
from lagotto.encoders.base import Encoder
from lagotto.encoders.folder import has_graphs
from lagotto.encoders.known.table import (
    KNOWN_ENCODERS,
    MARK,
    full_spec,
    split_precision,
)

OPEN_CLIP = "open_clip:"

ENCODER_ADAPTERS = {
    "onnx": Adapter("lagotto.encoders.onnx", "OnnxEncoder"),
    "transformers": Adapter(
        "lagotto.encoders.transformers",
        "TransformersEncoder",
        "transformers",
        "transformers",
        ("torch",),
    ),
}
"""Every adapter class is called with (folder, threads, device=...); the one for ONNX takes the
precision of its graphs, too."""

_REMOTE = {
    "hf": Adapter("lagotto.encoders.repository", "fetch_encoder"),
    "open_clip": Adapter("lagotto.encoders.repository", "load_open_clip"),
    "onnx runtime": Adapter("lagotto.encoders.onnx", "onnx_encoder_runtime"),
    "commit": Adapter("lagotto.encoders.repository", "pinned_spec"),
    "listing": Adapter("lagotto.encoders.repository", "list_encoder"),
}


def load_encoder(spec: str, threads: int | None = None, device: str = CPU) -> Encoder:
    """Loads an encoder.

    Args:
        spec: A folder, `hf:ORG/NAME[@REVISION]`, a short name of `encoders.known`, `bundled` for
            the small one of the demo, or `open_clip:ARCH/TAG`. If a folder has both, an ONNX export
            is used before safetensors, which need the extra `transformers`. `#fp16` or `#quantized`
            behind it chooses graphs of that precision.
        threads: CPU threads of one call; None for all cores.
        device: Where it runs: `cpu`, `cuda`, `cuda:N`, or `auto`, a GPU where one can be used.

    Returns:
        The encoder; each tower loads when it is first used.

    Raises:
        UsageError: The spec names nothing, `threads` is below 1, or the device is not known or not
            there.
        SourceError: The Hugging Face Hub does not provide it.
        EncoderError: The folder is incomplete, or its towers have another interface.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; give 1 or more, or leave it out for all cores")
    check_device(device)
    if spec.startswith(OPEN_CLIP):
        loaded: Encoder = load_adapter(_REMOTE, "open_clip", "encoder source")(
            spec, threads, device
        )
        return loaded
    spec, precision = split_precision(full_spec(spec))
    if spec.startswith(REPOSITORY):
        folder = load_adapter(_REMOTE, "hf", "encoder source")(spec, precision)
    else:
        folder = _folder(spec)
    saved = not has_graphs(folder) and any(folder.glob("*.safetensors"))
    if precision is None and saved:
        make = load_adapter(ENCODER_ADAPTERS, "transformers", "encoder adapter")
        encoder: Encoder = make(folder, threads, device=device)
        return encoder
    onnx = load_adapter(ENCODER_ADAPTERS, "onnx", "encoder adapter")
    if device != CPU:  # before a graph is read: what is asked for may not be there
        place(device, load_adapter(_REMOTE, "onnx runtime", "encoder source")())
    exact: Encoder = onnx(folder, threads, precision, device=device)
    return exact


def check_encoder_spec(spec: str) -> None:
    """Tells what is wrong with a spec before long work is done for its encoder.

    Nothing is fetched: the hub is asked what it has, whether that may be fetched, and its size.

    Raises:
        UsageError: The spec names no folder, and nothing elsewhere.
        SourceError: The repository is gone or gated, holds no encoder, or has no room here.
    """
    place, precision = split_precision(full_spec(spec))
    if place.startswith(REPOSITORY):
        load_adapter(_REMOTE, "listing", "encoder source")(place, precision)
    elif not place.startswith(OPEN_CLIP):
        _folder(place)


def lasting_spec(spec: str) -> str:
    """The spec that names the same encoder later and elsewhere: a commit, an absolute path.

    `bundled` stays: it is found wherever the package is installed.
    """
    if spec.partition(MARK)[0] == BUNDLED and not Path(BUNDLED).exists():
        return spec
    place, precision = split_precision(full_spec(spec))
    ending = "" if precision is None else f"{MARK}{precision}"
    if place.startswith(REPOSITORY):
        pinned: str = load_adapter(_REMOTE, "commit", "encoder source")(place)
        return pinned + ending
    return os.path.abspath(place) + ending if Path(place).exists() else spec


def _folder(spec: str) -> Path:
    if not spec.strip():
        raise UsageError("encoder '' is empty; give a folder that holds an ONNX export")
    folder = Path(spec).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise UsageError(
            f"encoder {spec!r} is a file; give the folder that holds it: {str(folder.parent)!r}"
        )
    parent = folder.parent
    siblings = sorted(p.name for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []
    raise UsageError(
        f"encoder {spec!r}: no such folder; give a folder that holds an encoder, hf:ORG/NAME, "
        f"open_clip:ARCH/TAG or one of {', '.join(KNOWN_ENCODERS)}, {BUNDLED}."
        f"{suggest(folder.name, [*siblings, *KNOWN_ENCODERS, BUNDLED])}"
    )
