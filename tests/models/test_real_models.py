"""The 22 real classifiers of the shared assets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from lagotto.core.types import ModelSource
from lagotto.models.inputs import prepare_tensor
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest, load_model
from model_makers import softmax

pytestmark = pytest.mark.real
BY_LOGITS = ["akamaster-cifar10-resnet20", "bcom5-cifar10-mobilenet-x0-25"]
BY_LOGITS += ["cifar100edge", "dogun-gtsrb43-onnx"]
COMPARED = ["coral-mobilenet-v1-025-128", "hozh-wardrobe", "mlperf-vww-mnv1-025-96"]
COMPARED += ["tm-carlogo6", "tm-carlogo6-q", "tuxxon-flowers5"]


@pytest.fixture(scope="module")
def sources(assets: Path) -> dict[str, ModelSource]:
    return {source.name: source for source in scan_models([assets / "hub"])}


def noise(model: Any, count: int = 4) -> np.ndarray:
    """Smooth random pictures."""
    height, width, depth = model.spec.input.pixels.shape
    rough = np.random.default_rng(5).integers(0, 256, (count, 4, 4, depth), dtype=np.uint8)
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    return rough[:, rows][:, :, columns]


def test_all_load_and_run_before_their_softmax(sources: dict[str, ModelSource]) -> None:
    assert len(sources) == 22
    assert len({behaviour_digest(source) for source in sources.values()}) == 22
    for name, source in sources.items():
        model = load_model(source)
        spec, logits = model.spec, model.logits(noise(model))
        assert spec.logits_source == ("declared" if name in BY_LOGITS else "cut"), name
        assert spec.notes == (), name
        assert spec.labels is not None, name
        assert logits.shape == (4, len(spec.labels)), name
        assert np.isfinite(logits).all(), name
        assert (np.ptp(logits, axis=0) > 0).any(), name


@pytest.mark.parametrize("name", COMPARED)
def test_softmax_of_the_logits_is_the_published_output(
    name: str, sources: dict[str, ModelSource]
) -> None:
    source = sources[name]
    model = load_model(source)
    pixels = noise(model)
    interpreter = Interpreter(str(source.file))
    interpreter.allocate_tensors()
    (entry,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    published = []
    for picture in pixels:
        interpreter.set_tensor(entry["index"], prepare_tensor(picture[None], model.spec.input))
        interpreter.invoke()
        published.append(interpreter.get_tensor(out["index"])[0])
    step, zero = out["quantization"]
    expected = np.array(published, np.float64)
    expected = (expected - zero) * step if step else expected
    assert np.abs(softmax(model.logits(pixels)) - expected).max() <= (1.01 * step or 1e-5)
