"""A file of the Keras family comes in; the same network as an ONNX model of ours goes out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lagotto.core.errors import ModelError, shortened
from lagotto.core.types import ModelSource
from lagotto.models.assembled import AssembledModel
from lagotto.models.keras.class_names import stated_names
from lagotto.models.keras.configuration import LayerConfig, NetworkConfig, parse_network
from lagotto.models.keras.files.archive import is_archive, open_archive
from lagotto.models.keras.files.h5_file import open_h5
from lagotto.models.keras.graph import Graph, Tensor, TensorShape, value_info
from lagotto.models.keras.network import NetworkWriter, input_shape
from lagotto.models.keras.pixel_range import AS_IT_IS, expected_range
from lagotto.models.keras.saved_model import LayerWeights, SavedNetwork
from lagotto.models.keras.tfjs import read_tfjs
from lagotto.models.keras.weight_names import leaves, weights_by_name
from lagotto.models.metadata.description import Description, InputDescription
from lagotto.models.metadata.embedded import EmbeddedMetadata

_TEACHABLE_MACHINE = frozenset(
    {"dense_Dense1", "dense_Dense2", "global_average_pooling2d_GlobalAveragePooling2D1"}
)
"""Layers that every image model of Teachable Machine has."""

_SHOWN = 60
_LONGEST_MESSAGE = 480


def translate_file(source: ModelSource) -> AssembledModel:
    """The model in an .h5, .hdf5 or .keras file, each told by its content.

    Before Keras 2.12 a .keras file was an HDF5 file.

    Raises:
        ModelError: It is none, or its model is not translated; the reason is one line.
    """
    opened = open_archive if is_archive(source.file) else open_h5
    with _one_line(), opened(source.file) as saved:
        return assemble(saved, "keras")


def translate_tfjs(source: ModelSource) -> AssembledModel:
    """The layers model of a model.json; raises ModelError with the reason in one line."""
    with _one_line():
        model = read_tfjs(source.file)

        def weights(network: NetworkConfig) -> LayerWeights:
            return weights_by_name(network, model.arrays)

        labels = model.labels or stated_names(lambda key: None, model.topology)
        saved = SavedNetwork(
            model.topology, model.version, weights, labels, model.input, model.notes
        )
        return assemble(saved, "tfjs")


@contextmanager
def _one_line() -> Iterator[None]:
    """Messages name layers and settings of a stranger: they stay short, and can be printed."""
    try:
        yield
    except ModelError as error:
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in str(error))
        raise ModelError(shortened(text, _LONGEST_MESSAGE)) from error


def assemble(saved: SavedNetwork, framework: str) -> AssembledModel:
    """A saved network as ONNX, with what its file says of labels and input.

    Raises:
        ModelError: A layer, a setting or an argument is not translated; the message names it.
    """
    network = parse_network(saved.topology, saved.version)
    weights = saved.weights(network)
    graph = Graph()
    data, sizes = write_model(graph, network, weights)
    described, notes = _described(saved.input, graph, network, sizes)
    embedded = EmbeddedMetadata(
        Description(labels=saved.labels, input=described),
        (*saved.notes, *dict.fromkeys((*graph.notes, *notes))),
    )
    return AssembledModel(data, framework, "NHWC", graph.weights, embedded)


def write_model(
    graph: Graph, network: NetworkConfig, weights: LayerWeights
) -> tuple[bytes, tuple[TensorShape, ...]]:
    """The bytes of a network as ONNX, and the shapes of its inputs.

    The values of its weights are in the graph.
    """
    layers = {layer.name: layer for layer in network.layers}
    tensors, infos, shapes = [], [], []
    for reference in network.inputs:
        layer = layers.get(reference.layer)
        if layer is None:
            raise ModelError(f"the model has no input {reference.layer[:_SHOWN]!r}")
        shape, dtype = input_shape(layer), _input_dtype(layer)
        name = graph.unique(layer.name.replace(":", "_"))
        infos.append(value_info(name, shape, dtype))
        if dtype != "float32":
            (name,) = graph.operator("Cast", (name,), name, to=1)
        graph.pixels[name] = AS_IT_IS
        tensors.append(Tensor(name, shape))
        shapes.append(shape)
    results = NetworkWriter(graph, weights).write(network, (), tensors)
    outputs = []
    for reference, tensor in zip(network.outputs, results, strict=True):
        graph.see(tensor)
        (name,) = graph.operator("Identity", (graph.plain(tensor),), f"{reference.layer}:output")
        outputs.append(value_info(name, tensor.shape))
    return graph.serialized(infos, outputs), tuple(shapes)


def _input_dtype(layer: LayerConfig) -> str:
    """The type of the tensor that an input takes; halves and doubles are fed as float32."""
    value = layer.settings.get("dtype")
    if isinstance(value, dict):
        config = value.get("config")
        value = config.get("name") if isinstance(config, dict) else None
    if value in ("uint8", "int32"):
        return str(value)
    if value is None or value in ("float16", "float32", "float64", "bfloat16"):
        return "float32"
    raise ModelError(
        f"{layer.text} takes {ascii(value)[:_SHOWN]}; a classifier of pictures takes float32 or "
        "uint8"
    )


def _described(
    given: InputDescription, graph: Graph, network: NetworkConfig, shapes: tuple[TensorShape, ...]
) -> tuple[InputDescription, list[str]]:
    """What is known of the pictures: by the file, by the network's own scaling, by its layers."""
    notes = []
    scale = None if given.scale is not None or given.mean else expected_range(graph.seen)
    if scale is not None:
        given = replace(given, scale=scale)
        notes.append(f"the network scales its pictures itself, so they are fed as {scale}")
    names = {layer.name for _, layer in leaves(network)}
    if given.scale is None and names >= _TEACHABLE_MACHINE:
        given = replace(given, scale="-1..1")
        notes.append("its layers are named as Teachable Machine names them, which feeds -1..1")
    if given.size is None and len(shapes) == 1 and len(shapes[0]) == 4:
        given = replace(given, size=_resized_to(network))
    return given, notes


def _resized_to(network: NetworkConfig) -> tuple[int, int] | None:
    """The size to which an input of open size is resized first; None if it is not."""
    for _, layer in leaves(network):
        if layer.kind == "Resizing":
            edges = (layer.settings.get("height"), layer.settings.get("width"))
            height, width = edges
            if isinstance(height, int) and isinstance(width, int):
                return (height, width) if 0 < height <= 4096 and 0 < width <= 4096 else None
        if layer.kind not in ("Rescaling", "RandomFlip", "RandomRotation", "RandomZoom"):
            return None
    return None
