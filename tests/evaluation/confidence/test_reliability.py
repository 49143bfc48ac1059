"""Confidence against the share that is right: tenths, their error, and what has no confidence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagotto.core.errors import UsageError
from lagotto.evaluation.confidence.reliability import read_reliability


def test_hits_are_counted_in_the_tenth_of_their_confidence() -> None:
    confidences = np.array([0.05, 0.15, 0.15, 0.15, 0.15, 1.0])
    right = np.array([False, True, False, False, False, True])
    found = read_reliability(3, confidences, right)
    assert [item.hits for item in found.bins] == [1, 4, 1]
    assert [item.right.value for item in found.bins] == [0.0, 0.25, 1.0]
    assert found.bins[1].confidence == pytest.approx(0.15)
    assert found.bins[1].right.low < 0.25 < found.bins[1].right.high
    assert found.calibration_error == pytest.approx((0.05 + 4 * 0.10 + 0.0) / 6)
    assert (found.queries, found.hits) == (3, 6)


def test_without_confidences_there_is_nothing_to_draw() -> None:
    with pytest.raises(UsageError, match="no hit of these queries has a confidence"):
        read_reliability(1, np.empty(0), np.empty(0, bool))


def test_bins_of_few_hits_are_drawn_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.axes import Axes

    from lagotto.evaluation.confidence.matplotlib_reliability import FEW, write_reliability

    drawn: dict[str, list[float]] = {}
    plain = Axes.errorbar

    def noted(axes: Axes, x: list[float], *rest: Any, **style: Any) -> Any:
        drawn[style["label"]] = [round(value, 2) for value in x]
        return plain(axes, x, *rest, **style)

    monkeypatch.setattr(Axes, "errorbar", noted)
    confidences = np.repeat([0.05, 0.25, 0.95], [FEW, FEW - 1, FEW])
    found = read_reliability(9, confidences, confidences > 0.5)
    write_reliability(tmp_path / "all.png", found)
    assert drawn == {"hits": [0.05, 0.95], f"under {FEW} hits": [0.25]}
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
