"""A checkpoint of torch or safetensors comes in; the network of its weights goes out as ONNX."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
from jaxtyping import Shaped

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonObject, JsonValue, ModelSource, Resample
from lagotto.models.architectures.agreement import check_layers
from lagotto.models.architectures.assembly import (
    as_float32,
    filled_graph,
    graph_with_head,
    trained_spreads,
)
from lagotto.models.architectures.fingerprint import Shape, is_position
from lagotto.models.architectures.recognition import Recognition, recognize
from lagotto.models.architectures.signature_table import Architecture, read_table, read_tensors
from lagotto.models.architectures.skeletons import (
    Skeleton,
    read_skeleton,
    skeleton_keys,
)
from lagotto.models.architectures.unknown import EXPORT_HINT
from lagotto.models.assembled import AssembledModel, LibraryNetwork, untried_note
from lagotto.models.checkpoints.checkpoint import Checkpoint, StoredTensor
from lagotto.models.checkpoints.opening import open_checkpoint
from lagotto.models.metadata.description import (
    Description,
    InputDescription,
    parse_description,
)
from lagotto.models.metadata.embedded import EmbeddedMetadata

FRAMEWORK = "torch"
_PATCHES = ("patch_embed.proj", "conv_proj")
_COLOURS = 3


def assemble_checkpoint(source: ModelSource) -> AssembledModel | LibraryNetwork:
    """The network of a checkpoint: as ONNX, or for its library to build if there is no skeleton.

    Args:
        source: The checkpoint. Nothing of it is executed.

    Raises:
        ModelError: It is no checkpoint, or its network is not known; the reason is one line.
    """
    checkpoint = open_checkpoint(source.file)
    described = parse_description(source.description).input.size
    if described is not None:  # model.json says more surely what the positions leave open
        checkpoint = replace(checkpoint, input=replace(checkpoint.input, size=described))
    found = recognize(
        checkpoint.shapes, checkpoint.settings, checkpoint.module_class, checkpoint.layers
    )
    if found.channels not in (1, _COLOURS):
        raise ModelError(
            f"a {found.architecture.name} for pictures of {found.channels} channels; allowed are 1 "
            "(grey) and 3 (colours), as probes and your pictures have them"
        )
    if found.architecture.key not in skeleton_keys() or _is_of_another_size(checkpoint, found):
        return _left_to_library(checkpoint, found)
    if checkpoint.layers or checkpoint.weighted:
        found = _agreeing(checkpoint, found)
    others = [item for item in found.others if item.architecture.key in skeleton_keys()]
    model = _assembled(checkpoint, found, bool(others))
    variants = {
        item.architecture.name: partial(_assembled, checkpoint, item, True) for item in others
    }
    return replace(model, variants=variants)


def _agreeing(checkpoint: Checkpoint, found: Recognition) -> Recognition:
    """Of the networks that fit, the first that has the layers of a pickled module.

    Raises ModelError with what the preferred one has not if none has them.
    """
    agreeing: list[Recognition] = []
    refusals: list[ModelError] = []
    for item in (found, *found.others):
        if item.architecture.key in skeleton_keys():
            try:
                check_layers(read_skeleton(item.architecture.key), item, checkpoint)
            except ModelError as error:
                refusals.append(error)
            else:
                agreeing.append(item)
    if not agreeing:
        raise refusals[0]
    return replace(agreeing[0], others=tuple(agreeing[1:]))


def _assembled(checkpoint: Checkpoint, found: Recognition, is_tried: bool) -> AssembledModel:
    """The checkpoint as one of the networks that it fits; with its spreads if it is tried."""
    skeleton = read_skeleton(found.architecture.key)
    size = _size_of_pictures(checkpoint, found, skeleton)
    data, weights = _assemble(skeleton, found, checkpoint)
    return AssembledModel(
        data,
        FRAMEWORK,
        "NCHW",
        weights,
        embedded_metadata(checkpoint, found, size),
        trained_spreads(skeleton, weights) if is_tried else {},
    )


def _is_of_another_size(checkpoint: Checkpoint, found: Recognition) -> bool:
    """Whether the graph is for other pictures than the checkpoint, and timm can build it for these.

    Swin and others fix the size in their graph, and no tensor shows it.
    """
    skeleton = read_skeleton(found.architecture.key)
    if skeleton.is_open or not _is_plain_timm(found):
        return False
    size = _size_of_positions(checkpoint, found) or checkpoint.input.size
    return size is not None and size != skeleton.size


def _is_plain_timm(found: Recognition) -> bool:
    """Whether a network is all of one of timm, with its own classifier."""
    return found.architecture.library == "timm" and found.head is None and found.view == "last"


def _left_to_library(checkpoint: Checkpoint, found: Recognition) -> LibraryNetwork:
    """A network that its library builds; ModelError if Lagotto has no adapter for that."""
    architecture = found.architecture
    if not _is_plain_timm(found):
        own = "" if found.head is None else " with a classifier of its own"
        raise ModelError(
            f"a {architecture.name} of {architecture.library}{own}, which Lagotto recognizes but "
            f"cannot run; {EXPORT_HINT}"
        )
    size = _size_of_positions(checkpoint, found) or checkpoint.input.size
    usual = usual_input(architecture.feed, found.channels).size
    classes = checkpoint.shapes[found.names[f"{architecture.classifier[0]}.weight"]][0]
    tensors = _Tensors(found.names, checkpoint.tensors)
    return LibraryNetwork(
        library=architecture.library,
        name=architecture.name,
        classes=classes,
        channels=found.channels,
        size=size or usual,
        weights={name: as_float32(tensors[name]) for name in found.names},
        embedded=embedded_metadata(checkpoint, found, size or usual),
    )


def embedded_metadata(
    checkpoint: Checkpoint, found: Recognition, size: tuple[int, int] | None = None
) -> EmbeddedMetadata:
    """What a checkpoint says of its labels and its input, and how its network is usually fed.

    Args:
        checkpoint: The checkpoint.
        found: Its network.
        size: The size of its pictures, where its tensors tell.
    """
    described = checkpoint.input
    if described.size is None:
        described = replace(described, size=size)
    return EmbeddedMetadata(
        Description(labels=checkpoint.labels, input=described),
        notes=(*checkpoint.notes, *_of_others(found), *found.notes),
        architecture=found.architecture.name,
        usual=usual_input(found.architecture.feed, found.channels),
    )


def _of_others(found: Recognition) -> tuple[str, ...]:
    """A note on the other networks that the tensors fit, if there are any."""
    if not found.others:
        return ()
    return (
        untried_note(found.architecture.name, [item.architecture.name for item in found.others]),
    )


def usual_input(feed: JsonObject, channels: int) -> InputDescription:
    """How a library feeds an architecture.

    Args:
        feed: Its mean, std, size, crop_fraction, resample and resize.
        channels: The number of channels of the pictures; grey ones take the mean of green.
    """
    mean, std = _for_channels(feed["mean"], channels), _for_channels(feed["std"], channels)
    resample = feed.get("resample")
    return parse_description(
        {
            "input": {
                "size": feed["size"],
                "scale": "0..1",
                "mean": mean,
                "std": std,
                "resize": feed.get("resize", "crop"),
                "crop_fraction": feed["crop_fraction"],
                "resample": resample if resample in get_args(Resample) else "bilinear",
            }
        }
    ).input


def _for_channels(values: JsonValue, channels: int) -> JsonValue:
    return (
        values[1:2] if channels == 1 and isinstance(values, list) and len(values) == 3 else values
    )


def _size_of_pictures(
    checkpoint: Checkpoint, found: Recognition, skeleton: Skeleton
) -> tuple[int, int] | None:
    """The size that the tensors tell; None if they fit any, and the file does not say it.

    Raises ModelError if the file names a size that the graph does not take.
    """
    size = _size_of_positions(checkpoint, found) or checkpoint.input.size
    if size is None or skeleton.is_open or size == skeleton.size:
        return size if size is not None or skeleton.is_open else skeleton.size
    raise ModelError(
        f"a {found.architecture.name} for pictures of {size[0]}x{size[1]}, which Lagotto runs at "
        f"{skeleton.size[0]}x{skeleton.size[1]} only; {EXPORT_HINT}"
    )


def _size_of_positions(checkpoint: Checkpoint, found: Recognition) -> tuple[int, int] | None:
    """The size of pictures by the embedding of positions: one position a patch, and a few more.

    Raises ModelError if the pictures are not square, and the file does not say their size.
    """
    shapes = checkpoint.shapes
    for name, given in found.names.items():
        if not is_position(name) or len(shapes[given]) != 3:
            continue
        for layer in _PATCHES:
            patch = shapes.get(found.names.get(f"{layer}.weight", ""), ())
            if len(patch) == 4 and min(patch[2:]) > 1:
                patches = shapes[given][1] - _further_positions(found.architecture, name, patch[2:])
                return _size_of(patches, patch[2:], checkpoint.input.size)
    return None


def _further_positions(architecture: Architecture, name: str, patch: Shape) -> int:
    """How many positions are of no patch, but of tokens for the class and such."""
    known = zip(read_table().architectures, read_tensors(), strict=True)
    tensors = next(tensors for item, tensors in known if item is architecture)
    height, width = usual_input(architecture.feed, _COLOURS).size or (0, 0)
    return tensors[name][1] - (height // patch[0]) * (width // patch[1])


def _size_of(patches: int, patch: Shape, stated: tuple[int, int] | None) -> tuple[int, int]:
    """The size of pictures of so many patches: square, or as stated if that has as many.

    Raises ModelError if it is neither.
    """
    if stated is not None and (stated[0] // patch[0]) * (stated[1] // patch[1]) == patches:
        return stated
    edge = math.isqrt(max(patches, 0))
    if edge and edge * edge == patches:
        return edge * patch[0], edge * patch[1]
    raise ModelError(
        f"it has positions for {patches:,} patches, which are those of no square picture; write "
        'the size of its pictures into model.json: {"input": {"size": [height, width]}}'
    )


def _assemble(
    skeleton: Skeleton, found: Recognition, checkpoint: Checkpoint
) -> tuple[bytes, dict[str, Shaped[np.ndarray, "..."]]]:
    tensors = _Tensors(found.names, checkpoint.tensors)
    if found.head is None:
        return filled_graph(skeleton, tensors, found.channels)
    cut = skeleton.before_last
    if found.view != "last" and skeleton.weights[1]:
        cut = skeleton.before_neck
    name = found.architecture.name
    if not cut.tensor:
        raise ModelError(f"a {name} with a classifier of its own, which cannot be put in its place")
    if found.head.inputs != cut.features:
        raise ModelError(
            f"a {name} whose own classifier takes {found.head.inputs:,} values; the network gives "
            f"{cut.features:,}: other layers lie between, which a checkpoint does not say"
        )
    own = _Tensors({name: name for name in checkpoint.tensors}, checkpoint.tensors)
    return graph_with_head(skeleton, cut, tensors, (found.head, own), found.channels)


class _Tensors(Mapping[str, Shaped[np.ndarray, "..."]]):
    """The values of tensors, each read when it is asked for, by other names."""

    def __init__(self, names: Mapping[str, str], tensors: Mapping[str, StoredTensor]) -> None:
        self._names = names
        self._tensors = tensors

    def __getitem__(self, name: str) -> Shaped[np.ndarray, "..."]:
        return self._tensors[self._names[name]].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
