"""A network and pictures come in; weights whose normalizations know these pictures go out."""

from pathlib import Path

import numpy as np
import onnxruntime
from jaxtyping import Float32, UInt8
from safetensors.numpy import save_file

from lagotto.models.architectures.assembly import filled_graph
from lagotto.models.architectures.operators import SkeletonOperator, read_operators
from lagotto.models.architectures.skeletons import Skeleton, read_skeleton
from lagotto.models.files.onnx_graph import with_onnx_output
from network_files import shapes_of
from seeded_weights import seeded_weights


def write_adapted(
    key: str, folder: Path, fed: Float32[np.ndarray, "pictures channels height width"]
) -> Path:
    """A checkpoint of seeded weights with the statistics that training in this network gives.

    The normalizations are set one after the other, each to the mean and variance that it sees.
    """
    skeleton = read_skeleton(key)
    tensors = seeded_weights(shapes_of(key))
    for item in read_operators(skeleton.parts[0]):
        if item.kind == "BatchNormalization":
            _, _, mean, variance = item.inputs[1:]
            seen = _values(skeleton, tensors, item, fed)
            tensors[mean] = seen.mean(axis=(0, 2, 3))
            tensors[variance] = seen.var(axis=(0, 2, 3))
    file = folder / "best.safetensors"
    save_file(tensors, file)
    return file


def _values(
    skeleton: Skeleton,
    tensors: dict[str, Float32[np.ndarray, "..."]],
    item: SkeletonOperator,
    fed: Float32[np.ndarray, "pictures channels height width"],
) -> Float32[np.ndarray, "pictures channels height width"]:
    """What a normalization of the network takes in."""
    data, weights = filled_graph(skeleton, tensors, fed.shape[1])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    held = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
    options.add_external_initializers(list(weights), held)
    session = onnxruntime.InferenceSession(
        with_onnx_output(data, item.inputs[0]), options, providers=["CPUExecutionProvider"]
    )
    (seen,) = session.run([item.inputs[0]], {"input": fed})
    return np.asarray(seen)


def patches(
    count: int, edge: int, seed: int
) -> UInt8[np.ndarray, "pictures height width channels"]:
    """Pictures with areas of colour, as photographs have them."""
    drawn = np.random.default_rng(seed)
    coarse = drawn.integers(0, 256, (count, 6, 6, 3)).astype(np.float64)
    at = np.arange(edge) * 6 // edge
    noise = drawn.normal(0, 20, (count, edge, edge, 3))
    return np.clip(coarse[:, at][:, :, at] + noise, 0, 255).astype(np.uint8)
