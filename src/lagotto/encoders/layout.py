"""Names of files come in; which of them are the towers and the settings of an encoder goes out.

The names are those of a folder or of a repository, so that both are read alike. The published
layouts differ in the folder, in the names of the towers and in the precision of their weights.
"""

from collections.abc import Collection, Iterator

_HOMES = ("", "onnx/")
_TOWERS = (
    ("vision_model", "text_model"),
    ("visual", "textual"),
    ("vision_encoder", "text_encoder"),
    ("image_encoder", "text_encoder"),
    ("image_model", "text_model"),
    ("vision", "text"),
    ("visual/model", "textual/model"),
    ("vision_model/model", "text_model/model"),
    ("image_encoder/model", "text_encoder/model"),
    ("vision/model", "text/model"),
)
"""Names of the vision tower and the text tower, without the ending; the usual ones come first."""

_JOINT = "model"
_PRECISIONS = (
    *("", "_fp32", "_fp16", "_quantized", "_int8", "_uint8"),
    *("_q8", "_q4", "_q4f16", "_bnb4"),
)
"""Endings of the names of graphs by the precision of their weights, the most exact first."""

VARIANTS = tuple(ending.removeprefix("_") for ending in _PRECISIONS if ending)
"""The precisions that a user may ask for by name."""

_TEXT_FOLDERS = ("", "textual/", "text_model/", "text_encoder/", "text/", "tokenizer/", "onnx/")
_VISION_FOLDERS = ("", "visual/", "vision_model/", "image_encoder/", "vision/", "onnx/")

SETTINGS = {
    "config": ("config.json", ("",)),
    "tokenizer": ("tokenizer.json", _TEXT_FOLDERS),
    "tokenizer_config": ("tokenizer_config.json", _TEXT_FOLDERS),
    "image_processor": ("preprocessor_config.json", _VISION_FOLDERS),
    "processor": ("processor_config.json", ("",)),
    "open_clip": ("open_clip_config.json", ("",)),
    "open_clip_pictures": ("preprocess_cfg.json", _VISION_FOLDERS),
}
"""For each kind of settings its file and the folders where it is looked for, the first first."""


def find_graphs(names: Collection[str], precision: str | None = None) -> tuple[str, str] | None:
    """The graphs of the vision tower and of the text tower; the same one if it holds both.

    A pair of exact graphs comes before a joint one, and both before graphs of lower precision.

    Args:
        names: Paths of files relative to the folder, with forward slashes.
        precision: One of VARIANTS, or "" for the exact graphs, to take no other.

    Returns:
        (vision, text), or None if a tower is missing.
    """
    if precision is not None:
        return next(_graphs_of(names, (f"_{precision}" if precision else "",)), None)
    return next(_graphs(names), None)


def find_settings(names: Collection[str]) -> dict[str, str]:
    """The files of settings among `names`, by the kinds of SETTINGS; absent kinds are left out."""
    found: dict[str, str] = {}
    for kind, (file, folders) in SETTINGS.items():
        path = next((folder + file for folder in folders if folder + file in names), None)
        if path is not None:
            found[kind] = path
    return found


def _graphs(names: Collection[str]) -> Iterator[tuple[str, str]]:
    for precisions in (_PRECISIONS[:1], _PRECISIONS[1:]):
        yield from _graphs_of(names, precisions)
    for vision, text in _pairs():
        towers = _most_exact(vision, names), _most_exact(text, names)
        if towers[0] is not None and towers[1] is not None:
            yield towers[0], towers[1]


def _graphs_of(names: Collection[str], precisions: Collection[str]) -> Iterator[tuple[str, str]]:
    """Graphs of some precisions: pairs, and then joint ones."""
    for precision in precisions:
        for vision, text in _pairs():
            pair = f"{vision}{precision}.onnx", f"{text}{precision}.onnx"
            if pair[0] in names and pair[1] in names:
                yield pair
    for precision in precisions:
        for home in _HOMES:
            joint = f"{home}{_JOINT}{precision}.onnx"
            if joint in names:
                yield joint, joint


def _pairs() -> Iterator[tuple[str, str]]:
    for vision, text in _TOWERS:
        for home in _HOMES:
            yield home + vision, home + text


def _most_exact(stem: str, names: Collection[str]) -> str | None:
    return next((f"{stem}{p}.onnx" for p in _PRECISIONS if f"{stem}{p}.onnx" in names), None)
