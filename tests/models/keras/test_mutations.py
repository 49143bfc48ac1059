"""Files of the Keras family, damaged at random, are translated or refused in one line."""

import random
from pathlib import Path

import pytest

from keras_mutation import FORMS, mutated, opened, seeds

_ROUNDS = 150


@pytest.mark.parametrize("name", FORMS)
def test_a_damaged_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    data = seeds(tmp_path)[name]
    rng = random.Random(name)
    reasons = [opened(tmp_path, name, mutated(data, rng)) for _ in range(_ROUNDS)]
    assert all("\n" not in reason for reason in reasons)
    assert sum(reason != "translated" for reason in reasons) > _ROUNDS / 4


@pytest.mark.parametrize("name", FORMS)
def test_a_file_cut_at_any_place_is_refused(name: str, tmp_path: Path) -> None:
    data = seeds(tmp_path)[name]
    for end in range(1, len(data) - 1, max(len(data) // 60, 1)):
        assert opened(tmp_path, name, data[:end]) != "translated"
