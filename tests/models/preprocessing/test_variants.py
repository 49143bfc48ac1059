"""Networks with the same tensors: the planted one is found, told, kept, and never guessed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.errors import ModelError
from lagotto.core.types import InputSpec, ModelSource, PixelSpec
from lagotto.models.classifier import ModelClassifier
from lagotto.models.preprocessing.candidates import Normalization
from lagotto.models.preprocessing.infer import TRIAL_PICTURES
from lagotto.models.preprocessing.variants import (
    MIN_FIT_MARGIN,
    as_network,
    choose_network,
    may_be_another,
)
from lagotto.models.registry import load_model
from network_files import write_network
from planted_networks import patches, write_adapted

PLAIN, PORTED = "mobilenetv3_small_100", "tf_mobilenetv3_small_100"
EDGE = 64
FEED = {"input": {"size": [EDGE, EDGE], "scale": "-1..1", "channels": "RGB", "resize": "crop"}}


def pictures(spec: PixelSpec) -> np.ndarray:
    """Other pictures than those that the networks are adapted to."""
    assert spec.shape == (EDGE, EDGE, 3)
    return patches(TRIAL_PICTURES, EDGE, seed=11)


def bare(file: Path) -> ModelClassifier:
    model = load_model(ModelSource("best", file, FEED))
    assert isinstance(model, ModelClassifier)
    return model


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each of the two networks; nothing in it names one."""
    fed = (patches(24, EDGE, seed=5) / np.float32(127.5) - 1).transpose(0, 3, 1, 2)
    return {
        name: write_adapted(
            f"timm/{name}", tmp_path_factory.mktemp(name), np.ascontiguousarray(fed, np.float32)
        )
        for name in (PLAIN, PORTED)
    }


@pytest.mark.parametrize("truth", [PLAIN, PORTED])
def test_the_planted_network_is_found(truth: str, planted: dict[str, Path]) -> None:
    untried = bare(planted[truth])
    assert untried.spec.architecture == PLAIN
    assert any(note.startswith(f"taken for {PLAIN}; {PORTED}") for note in untried.spec.notes)
    chosen = choose_network(untried, pictures)
    decision = chosen.spec.decisions[-1]
    assert chosen.spec.architecture == decision.value == truth
    assert decision.field == "architecture"
    assert decision.origin == "inferred"
    assert decision.margin is not None
    assert decision.margin > MIN_FIT_MARGIN
    assert decision.runner_up == (PLAIN if truth == PORTED else PORTED)
    assert chosen.spec.notes[0].startswith(f"architecture inferred: {truth} (+")
    assert not any("taken for" in note for note in chosen.spec.notes)
    again = as_network(bare(planted[truth]), chosen.spec.decisions)
    shown = pictures(PixelSpec(EDGE, EDGE))[:2]
    np.testing.assert_array_equal(again.logits(shown), chosen.logits(shown))


def test_without_evidence_the_preference_stays_and_says_so(tmp_path: Path) -> None:
    model = bare(write_network(f"timm/{PORTED}", tmp_path))  # its statistics say nothing
    chosen = choose_network(model, pictures)
    assert chosen.spec.architecture == PLAIN
    assert chosen.spec.decisions[-1].origin == "assumed"
    assert chosen.spec.notes[0].startswith(f"architecture assumed: {PLAIN} (")


def test_a_network_that_is_alone_is_not_tried(tmp_path: Path) -> None:
    model = bare(write_network("torchvision/mnasnet0_5", tmp_path))
    assert not may_be_another(model)

    def never(spec: PixelSpec) -> np.ndarray:
        raise AssertionError("looked at pictures")

    assert choose_network(model, never) is model


def test_a_record_of_a_network_that_is_not_there_is_refused(planted: dict[str, Path]) -> None:
    chosen = choose_network(bare(planted[PORTED]), pictures)
    decisions = tuple(replace(item, value="b") for item in chosen.spec.decisions)
    with pytest.raises(ModelError, match="probed as a b"):
        as_network(bare(planted[PORTED]), decisions)


def test_grey_pictures_keep_the_normalization_of_an_architecture() -> None:
    usual = Normalization("0..1", (0.4,), (0.2,))
    spec = InputSpec(PixelSpec(8, 8, grey=True), "NCHW", "L", "float32", "0..1")
    assert usual.apply_to(spec, "L").mean == (0.4,)
