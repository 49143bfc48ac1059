"""The headers of an encoder's graphs come in; the inputs and output of each tower go out.

An output whose name says that it is in the shared space comes first. A pooled or hidden output is
taken only if the family of the model has no projection after it. CLIP has one: without it, pictures
and texts would be compared in two unrelated spaces.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lagotto.core.errors import EncoderError
from lagotto.core.types import JsonObject
from lagotto.encoders.folder import EncoderFolder, GraphFile
from lagotto.encoders.graph_header import TensorHeader

TowerName: TypeAlias = Literal["vision", "text"]
Pooling: TypeAlias = Literal["none", "cls", "mean"]

_EMBEDS = {
    "vision": ("image_embeds", "image_embeddings", "image_embedding", "image_features"),
    "text": (
        *("text_embeds", "text_embeddings", "text_embedding", "text_features"),
        "sentence_embedding",
    ),
}
_LONE_EMBEDS = ("embedding", "embeddings", "embeds", "features", "output")
"""Names of the embedding where it is the only output of a graph that holds one tower."""

_POOLED, _HIDDEN = "pooler_output", "last_hidden_state"

_PROJECTED_FAMILIES = ("clip", "chinese_clip", "altclip", "metaclip_2", "align")
"""Families with a projection after the pooled output."""

_FLOATS, _INTEGERS = ("float32", "float16"), ("int64", "int32")
_DTYPES = {
    "pixel_values": _FLOATS,
    "input_ids": _INTEGERS,
    "attention_mask": _INTEGERS,
    "token_type_ids": _INTEGERS,
}
_ROLES: dict[TowerName, dict[str, tuple[str, ...]]] = {
    "vision": {"pixel_values": ("pixel_values", "image", "images", "pixels")},
    "text": {
        "input_ids": ("input_ids", "text", "texts", "tokens"),
        "attention_mask": ("attention_mask", "mask"),
        "token_type_ids": ("token_type_ids",),
    },
}
"""What each tower is fed, and the names that exports give these inputs."""

_LONE_INPUTS = ("input", "x")
"""Names that leave open what the only input of a graph is."""

_REQUIRED = {"vision": "pixel_values", "text": "input_ids"}


@dataclass(frozen=True, slots=True)
class Tower:
    """One tower of a dual encoder: its graph, the output to read, and its pooling.

    `inputs` are by what they are fed, such as pixel_values; a graph may call them otherwise.
    `others` are the inputs of the other tower, if one graph holds both.
    """

    name: TowerName
    graph: GraphFile
    inputs: dict[str, TensorHeader]
    others: dict[str, TensorHeader]
    output: str
    pooling: Pooling

    @property
    def batch(self) -> int | None:
        """The fixed number of rows of a run, or None."""
        return self.inputs[_REQUIRED[self.name]].fixed(0)

    @property
    def width(self) -> int | None:
        """The length of an embedding, or None if the graph does not state it."""
        return self.graph.header.outputs[self.output].fixed(-1)


def read_tower(folder: EncoderFolder, name: TowerName) -> Tower:
    """Reads a tower of a folder.

    Raises EncoderError for unknown inputs, and for a graph without an output that can be the
    embedding; the message lists what the graph has.
    """
    graph = folder.vision if name == "vision" else folder.text
    joint = folder.vision is folder.text
    towers: tuple[TowerName, ...] = (name, _other(name)) if joint else (name,)
    roles = {role: names for tower in towers for role, names in _ROLES[tower].items()}
    by_role: dict[str, TensorHeader] = {}
    for tensor in graph.header.inputs.values():
        role = _role(tensor, roles, len(graph.header.inputs), name)
        if role is None or role in by_role or tensor.dtype not in _DTYPES[role]:
            raise EncoderError(
                f"{graph.file}: input {tensor.name!r} of type {tensor.dtype or 'unknown'} is not "
                f"one of {', '.join(roles)}; export it with these inputs"
            )
        by_role[role] = tensor
    inputs = {role: tensor for role, tensor in by_role.items() if role in _ROLES[name]}
    if _REQUIRED[name] not in inputs:
        raise EncoderError(
            f"{graph.file}: no input {_REQUIRED[name]!r}; it has "
            f"{', '.join(graph.header.inputs) or 'none'}; is it the {name} tower?"
        )
    output, pooling = _embedding_output(folder, graph, name, joint)
    others = {role: tensor for role, tensor in by_role.items() if role not in _ROLES[name]}
    tower = Tower(name, graph, inputs, others, output, pooling)
    _check_projection(folder, tower)
    return tower


def common_width(vision: Tower, text: Tower) -> int | None:
    """The width of both towers, None if not stated. Raises EncoderError if they differ."""
    if vision.width is not None and text.width is not None and vision.width != text.width:
        raise EncoderError(
            f"{vision.graph.file}: output {vision.output!r} has width {vision.width}, but "
            f"{text.output!r} of {text.graph.file.name} has {text.width}; export both towers "
            "with their projections (image_embeds and text_embeds)"
        )
    return vision.width or text.width


def _other(name: TowerName) -> TowerName:
    return "text" if name == "vision" else "vision"


def _role(
    tensor: TensorHeader, roles: dict[str, tuple[str, ...]], inputs: int, tower: TowerName
) -> str | None:
    """What an input is fed, by its name; the only input of a graph is what its tower needs."""
    for role, names in roles.items():
        if tensor.name in names:
            return role
    if inputs == 1 and tensor.name.partition(".")[0] in _LONE_INPUTS:
        return _REQUIRED[tower]
    return None


def _embedding_output(
    folder: EncoderFolder, graph: GraphFile, name: TowerName, joint: bool
) -> tuple[str, Pooling]:
    """The name of the best output and its pooling."""
    outputs = graph.header.outputs
    for candidate in _EMBEDS[name]:
        if candidate in outputs:
            return candidate, "none"
    if not joint and len(outputs) == 1 and next(iter(outputs)) in _LONE_EMBEDS:
        return next(iter(outputs)), "none"
    projected = folder.model_type in _PROJECTED_FAMILIES
    usable = [] if joint or projected else [_POOLED]
    if usable and not folder.is_siglip:
        usable.append(_HIDDEN)
    configured = _configured_pooling(folder.section(f"{name}_config"), name)
    if configured is not None and _HIDDEN in usable and _HIDDEN in outputs:
        return _HIDDEN, configured
    for candidate in usable:
        if candidate in outputs:
            pooled: Pooling = "cls" if name == "vision" else "mean"
            return candidate, "none" if candidate == _POOLED else pooled
    reason = f" (model_type {folder.model_type!r} projects what it pools)" if projected else ""
    raise EncoderError(
        f"{graph.file}: no output is the {name} embedding; it has {', '.join(outputs)}; this "
        f"needs one of {', '.join([*_EMBEDS[name], *usable])}{reason}; export it with one of these"
    )


def _configured_pooling(section: JsonObject, name: TowerName) -> Pooling | None:
    """`pooling` of text_config or vision_config: an explicit choice over last_hidden_state."""
    pooling = section.get("pooling")
    if pooling is None:
        return None
    if pooling == "cls":
        return "cls"
    if pooling == "mean":
        return "mean"
    raise EncoderError(
        f'config.json: pooling of {name}_config is {pooling!r}; allowed: "mean" or "cls"'
    )


def _check_projection(folder: EncoderFolder, tower: Tower) -> None:
    """Refuses a pooled output whose width is not the projection_dim of config.json."""
    expected = folder.config.get("projection_dim")
    if tower.output in (*_EMBEDS[tower.name], *_LONE_EMBEDS) or not isinstance(expected, int):
        return
    if tower.width is not None and tower.width != expected:
        raise EncoderError(
            f"{tower.graph.file}: output {tower.output!r} has width {tower.width}, but config.json "
            f"projects to {expected}; export the tower with its projection "
            f"({_EMBEDS[tower.name][0]})"
        )
