"""Encoders by spec: a folder with an ONNX export today; `hf:` and `open_clip:` have their place."""

from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.registry import Adapter, load_adapter, suggest
from lagotto.encoders.base import Encoder

ADAPTERS = {"onnx": Adapter("lagotto.encoders.onnx", "OnnxEncoder")}
"""Every adapter class is called with (folder, threads)."""

FUTURE_PREFIXES = ("hf:", "open_clip:")
"""Specs of the design that no adapter serves yet."""


def load_encoder(spec: str, threads: int | None = None) -> Encoder:
    """The encoder that a spec names; `threads` bounds the CPU threads of one call.

    Raises UsageError where the spec names no folder, EncoderError where the folder is incomplete
    or its graphs do not have the expected form.
    """
    if spec.startswith(FUTURE_PREFIXES):
        raise UsageError(
            f"encoder {spec!r}: this version reads encoders from folders only; download an ONNX "
            "export of it (vision_model.onnx, text_model.onnx, tokenizer.json, config.json, "
            "preprocessor_config.json) and give that folder"
        )
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; give 1 or more, or leave it out for all cores")
    encoder: Encoder = load_adapter(ADAPTERS, "onnx", "encoder adapter")(_folder(spec), threads)
    return encoder


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
        f"encoder {spec!r}: no such folder; give a folder that holds an ONNX export."
        f"{suggest(folder.name, siblings)}"
    )
