"""A checkpoint of 2018 from the shared assets: an old file, saved from DataParallel on a GPU."""

from pathlib import Path

import numpy as np
import pytest

from lagotto.models.checkpoints.opening import open_checkpoint

pytestmark = pytest.mark.real


def test_it_is_read_as_torch_reads_it(assets: Path) -> None:
    file = assets / "checkpoints" / "akamaster" / "resnet20-12fca82f.th"
    found = open_checkpoint(file)
    assert found.container == "torch legacy"
    assert found.found_at == "state_dict"
    assert found.settings["best_prec1"] == pytest.approx(91.78, abs=0.01)
    assert list(found.tensors)[:2] == ["conv1.weight", "bn1.weight"]
    assert found.tensors["linear.weight"].shape == (10, 64)
    torch = pytest.importorskip("torch")
    expected = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    assert len(expected) == len(found.tensors)
    for name, tensor in expected.items():
        assert np.array_equal(found.tensors[name.removeprefix("module.")].read(), tensor.numpy())
