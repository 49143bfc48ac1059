"""Networks that Keras saved are translated, and compute what Keras computed with them.

The references are made by scripts/make_keras_references.py: each layer with each argument, and
whole networks as people write them, by Keras 2 and 3, as .h5 and .keras.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from lagotto.core.types import ModelSource
from lagotto.models.assembled import AssembledModel
from lagotto.models.keras.translate import translate_file

ARCHIVE = Path(__file__).parent / "golden" / "references.zip"
TOLERANCE = 1e-4


def _saved_files() -> list[str]:
    with zipfile.ZipFile(ARCHIVE) as archive:
        return [name for name in archive.namelist() if not name.endswith(".npz")]


def run(model: AssembledModel, given: np.ndarray) -> np.ndarray:
    """The first output of a translated network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    values = [np.ascontiguousarray(value) for value in model.weights.values()]
    arrays = list(map(onnxruntime.OrtValue.ortvalue_from_numpy, values))
    options.add_external_initializers(list(model.weights), arrays)
    session = onnxruntime.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
    (first, *_) = session.run(None, {session.get_inputs()[0].name: given})
    return np.asarray(first)


def test_there_are_references() -> None:
    assert len(_saved_files()) > 300


@pytest.mark.parametrize("name", _saved_files())
def test_a_network_computes_what_keras_computes(name: str, tmp_path: Path) -> None:
    ending = Path(name).suffix
    with zipfile.ZipFile(ARCHIVE) as archive:
        file = tmp_path / f"model{ending}"
        file.write_bytes(archive.read(name))
        reference = np.load(io.BytesIO(archive.read(f"{name.removesuffix(ending)}.npz")))
    model = translate_file(ModelSource("reference", file, {}))
    rng = np.random.default_rng(7)
    given = rng.uniform(*reference["range"], reference["shape"]).astype(np.float32)
    result = run(model, given)
    expected = reference["expected"]
    assert result.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max()))
    assert np.abs(result - expected).max() <= TOLERANCE * scale
