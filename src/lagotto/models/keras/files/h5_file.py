"""An .h5 file of Keras comes in; the configuration and the weights in it go out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonValue
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.files.weights import check_size
from lagotto.models.keras.class_names import stated_names
from lagotto.models.keras.configuration import NetworkConfig, parse_configuration, version_of
from lagotto.models.keras.files.applications import likely_application
from lagotto.models.keras.files.hdf5 import Hdf5Tree, open_hdf5
from lagotto.models.keras.saved_model import LayerWeights, SavedNetwork
from lagotto.models.keras.weight_names import weights_by_list

_WEIGHTS = "model_weights"
_FIRST_KERAS = "saved by Keras 1: read as its TensorFlow backend computed it"


@contextmanager
def open_h5(file: Path) -> Iterator[SavedNetwork]:
    """The model in an .h5 file; its arrays can be read while the file is open.

    Raises:
        ModelError: It is no HDF5 file, holds weights alone, or is refused by its content.
    """
    check_size(file)
    with open_hdf5(file, file.name, file.stat().st_size) as tree:
        text = tree.text("", "model_config")
        if text is None:
            raise _without_model(tree)
        version = version_of(tree.text("", "keras_version") or tree.text(_WEIGHTS, "keras_version"))
        topology = parse_configuration(
            text.encode("utf-8", "replace"), "the configuration of the model"
        )
        lists = _lists(tree)

        def weights(network: NetworkConfig) -> LayerWeights:
            return weights_by_list(network, lists)

        def attribute(name: str) -> JsonValue:
            values = tree.names("", name)
            return values[0] if values is not None and len(values) == 1 else list(values or ())

        notes = (_FIRST_KERAS,) if version == 1 else ()
        names = stated_names(attribute, topology)
        yield SavedNetwork(topology, version, weights, names, notes=notes)


def _lists(tree: Hdf5Tree) -> dict[str, list[tuple[str, StoredTensor]]]:
    """The names and arrays of each layer of the outermost model."""
    layers = tree.names(_WEIGHTS, "layer_names")
    if layers is None:
        raise ModelError("the file has a model without weights (model_weights); save it whole")
    lists = {}
    for layer in layers:
        group = f"{_WEIGHTS}/{layer}"
        given = []
        for name in tree.names(group, "weight_names") or ():
            tensor = tree.arrays.get(f"{group}/{name}")
            if tensor is None:
                raise ModelError(f"the array {name[:80]!r} of layer {layer[:60]!r} is missing")
            given.append((name, tensor))
        lists[layer] = given
    return lists


def _without_model(tree: Hdf5Tree) -> ModelError:
    """The refusal of a file without a configuration: what it holds, and what to do."""
    if not tree.arrays:
        return ModelError("the HDF5 file holds neither a Keras model nor weights")
    names = list(tree.names("", "layer_names") or ())
    names += [tree.text(group, "name") or "" for group in tree.groups if group.endswith("/vars")]
    is_keras = bool(names) or any(group == "layers" for group in tree.groups)
    if not is_keras:
        return ModelError(
            f"the HDF5 file holds {len(tree.arrays)} arrays, but no Keras model (no model_config)"
        )
    likely = likely_application(names)
    guess = f"it may be {likely}; " if likely else ""
    return ModelError(
        f"weights only: {len(tree.arrays)} arrays without the network; {guess}build the model in "
        "Keras, load_weights() from this file, and model.save('model.keras')"
    )
