"""Files of Teachable Machine, as it exports them for Keras and for TensorFlow.js."""

from pathlib import Path

import numpy as np
import pytest

from lagotto.core.types import ModelSource
from lagotto.models.keras.tfjs import shard_files
from lagotto.models.registry import load_model

pytestmark = pytest.mark.real


def test_a_keras_model_of_teachable_machine(assets: Path) -> None:
    file = assets / "checkpoints" / "teachable-machine" / "keras_model.h5"
    model = load_model(ModelSource("tm", file, {}))
    assert (model.spec.framework, model.spec.logits_source) == ("keras", "cut")
    assert model.spec.labels == ("Class 1", "Class 2")
    assert model.spec.input.scale == "-1..1"
    black = np.zeros((1, 224, 224, 3), np.uint8)
    assert np.isfinite(model.logits(black)).all()
    assert model.open_activations() is not None


def test_a_model_of_teachable_machine_for_the_browser(assets: Path) -> None:
    file = assets / "checkpoints" / "tfjs" / "model.json"
    model = load_model(ModelSource("tm", file, {}))
    assert model.spec.framework == "tfjs"
    assert model.spec.labels == ("with book", "with ac remote")
    assert (model.spec.input.scale, model.spec.input.pixels.resize) == ("-1..1", "crop")
    assert [path.name for path in shard_files(file)] == ["weights.bin"]
