"""Tensors that no known network has come in; an error goes out that says what they may be."""

import math
import re
from collections.abc import Mapping, Sequence

from lagotto.core.errors import ModelError
from lagotto.models.architectures.fingerprint import Shape, is_counted
from lagotto.models.architectures.signature_table import read_table, read_tensors

EXPORT_HINT = (
    "export it where its code is: torch.onnx.export(model.eval(), torch.zeros(1, 3, 224, 224), "
    '"model.onnx"), with the size of its pictures'
)
"""What to do with a network of one's own; docs/how-to/checkpoints.md has it in full."""

_MIN_WORDS = 2_000
_EMBEDDING = re.compile(r"(?:^|\.)(?:\w*embed\w*|wte|emb|tok_\w+|lm_head)\.weight$|word_embed")
_DETECTOR = re.compile(
    r"(?:^|\.)(?:rpn|roi_heads|bbox_head|anchor_generator|class_embed|bbox_embed|dfl|cv2\.\d\.\d"
    r"|regression_head|box_head|box_predictor|yolo_head|loc\.\d)(?:\.|$)"
)
_SEGMENTER = re.compile(
    r"(?:^|\.)(?:segmentation_head|decode_head|mask_head|outc|aspp|sem_seg_head|up\d+|seg_head"
    r"|final_conv|conv_last|upconv\d*|low_classifier|high_classifier)(?:\.|$)"
    r"|^aux_classifier\.|^classifier\.0\.convs\."
)
_PICTURES = re.compile(
    r"(?:^|\.)(?:decoder|generator|deconv\w*|convt\w*|to_rgb\w*|conv_out|up_blocks|upsample\w*|unconv\w*"
    r"|netG|dec)(?:\.|\d|$)"
)
_LORA = re.compile(r"(?:^|[._])lora_(?:[AB]|up|down|embedding_[AB]|magnitude_vector)(?:\.|$)")
_BESIDE_LORA = re.compile(r"(?:^|\.)(?:modules_to_save|classifier|head|fc|score)\.|alpha$")
_SHOWN_SHAPES = 4


def unknown_network(shapes: Mapping[str, Shape], problems: Sequence[str] = ()) -> ModelError:
    """The error for tensors that belong to no network that is known.

    Args:
        shapes: Names and shapes of the tensors.
        problems: Why networks whose body fits were refused.
    """
    other = _no_classifier(shapes)
    if other is not None:
        return ModelError(f"no image classifier: {other}")
    if problems:
        return ModelError(f"{problems[0]}; {EXPORT_HINT}")
    return ModelError(f"a network that is not known: {_nearest(shapes)}; {EXPORT_HINT}")


def _no_classifier(shapes: Mapping[str, Shape]) -> str | None:
    """What the tensors are instead of a classifier of pictures; None if they may be one."""
    for name, shape in shapes.items():
        is_table = len(shape) == 2 and shape[0] >= _MIN_WORDS > shape[1]
        if is_table and _EMBEDDING.search(name):
            return f"an embedding of {shape[0]:,} x {shape[1]:,} ({name[:80]!a}) is of a text model"
    detector = next(filter(_DETECTOR.search, shapes), None)
    if detector is not None:
        return f"{detector[:80]!a} is of a detector; export it to ONNX"
    convolutions = [name for name, shape in shapes.items() if len(shape) == 4]
    if len(convolutions) > 1 and _is_map_classifier(shapes, convolutions[-2:]):
        return f"{convolutions[-1][:80]!a} gives a class to every pixel; export it to ONNX"
    if any(map(_LORA.search, shapes)):
        if all(_LORA.search(name) or _BESIDE_LORA.search(name) for name in shapes):
            return "LoRA weights alone, without the network that they change; merge them into it"
        return "LoRA weights beside a network; save model.merge_and_unload() of peft"
    segmenter = next(filter(_SEGMENTER.search, shapes), None)
    if segmenter is not None:
        return f"{segmenter[:80]!a} is of a segmenter; export it to ONNX"
    weights = [(name, shape) for name, shape in shapes.items() if len(shape) >= 2]
    if not weights:
        return f"it holds no weight of a layer (tensors of one axis alone: {len(shapes):,})"
    name, shape = weights[-1]
    if len(shape) == 4 and min(shape[:2]) in (1, 3) and math.prod(shape[2:]) > 1:
        size = "x".join(map(str, shape))
        made = "a map of one value, as a discriminator does" if 1 in shape[:1] else "a picture"
        return f"its last layer {name[:80]!a} ({size}) gives {made}"
    maker = next(filter(_PICTURES.search, shapes), None)
    if maker is not None:
        return f"{maker[:80]!a} is of a network that makes pictures (an autoencoder or a generator)"
    return None


def _is_map_classifier(shapes: Mapping[str, Shape], last: list[str]) -> bool:
    """Whether two last layers are those of a segmenter: 3x3, then 1x1, in one module."""
    kernels = [shapes[name][2:] for name in last]
    module = {name.partition(".")[0] for name in last}
    is_end = last[1].rpartition(".")[0] == list(shapes)[-1].rpartition(".")[0]
    is_behind_body = next(iter(shapes)).startswith("backbone.")
    return kernels == [(3, 3), (1, 1)] and len(module) == 1 and is_end and is_behind_body


def _nearest(shapes: Mapping[str, Shape]) -> str:
    """The architecture with the most tensors of the same names and shapes, in words."""
    given = {(name, shape) for name, shape in shapes.items() if is_counted(name)}
    names = {name for name, _ in given}
    best, most = "", (0, 0, 0)
    differing: list[str] = []
    for architecture, tensors in zip(read_table().architectures, read_tensors(), strict=True):
        equal = len(given & tensors.items())
        same = len(names & tensors.keys())
        rank = (equal, same, -len(tensors))
        if rank > most:
            best, most = architecture.name, rank
            differing = [
                f"{name} is {_text(shapes[name])} in place of {_text(shape)}"
                for name, shape in tensors.items()
                if name in names and shapes[name] != shape
            ]
    if most[0] * 20 < len(given):
        return f"none of its {len(given):,} tensors' names and shapes are those of a known one"
    text = f"{most[0]:,} of {len(given):,} tensors fit {best}"
    if differing and 2 * most[0] > len(given):
        text += f" ({', '.join(differing[:_SHOWN_SHAPES])})"
    return text


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single number"
