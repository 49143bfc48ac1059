"""Which input takes the picture, with how many axes, and what the others are set to."""

import numpy as np
import pytest

from lagotto.core.errors import ModelError
from lagotto.models.files.activation import Node
from lagotto.models.picture_input import DeclaredInput, find_picture_input

PICTURE = DeclaredInput("x", (None, 3, 8, 8), "float32")


@pytest.mark.parametrize(
    ("declared", "shape", "lacking"),
    [
        ((None, 3, 8, 8), (None, 3, 8, 8), ()),
        ((3, 8, 8), (1, 3, 8, 8), (0,)),
        ((8, 8, 3), (1, 8, 8, 3), (0,)),
        ((None, None, 3), (1, None, None, 3), (0,)),
        ((1, 8, 8), (1, 1, 8, 8), (0,)),
        ((None, 28, 28), (None, 28, 28, 1), (3,)),
        ((4, 8, 8), (4, 8, 8), ()),  # alpha: refused by its shape
        ((None, 784), (None, 784), ()),
        ((None, None, None), (None, None, None), ()),
        ((), (), ()),
    ],
)
def test_the_axes_of_the_picture(
    declared: tuple[int | None, ...], shape: tuple[int | None, ...], lacking: tuple[int, ...]
) -> None:
    found = find_picture_input([DeclaredInput("x", declared, "float32")], {}, frozenset())
    assert (found.shape, found.lacking) == (shape, lacking)
    assert bool(found.notes) == (lacking == (0,))
    if lacking:
        whole = np.zeros([size or 5 for size in shape], np.float32)
        assert found.fold(whole).shape == tuple(size or 5 for size in declared)


@pytest.mark.parametrize(
    ("name", "dtype", "value"),
    [
        ("is_training", "bool", 0),
        ("keras_learning_phase:0", "bool", 0),
        ("phase_train", "int32", 0),
        ("dropout_rate", "float32", 0),
        ("keep_prob", "float32", 1),
        ("dropout_keep_prob:0", "float32", 1),
        ("is_inference", "bool", 1),
    ],
)
@pytest.mark.parametrize("shape", [(), (1,), (None,)])
def test_switches_by_name(name: str, dtype: str, value: int, shape: tuple[int | None, ...]) -> None:
    switch = DeclaredInput(name, shape, dtype)
    for inputs in ([PICTURE, switch], [switch, PICTURE]):
        found = find_picture_input(inputs, {}, frozenset({"x", name}))
        feed = found.feed(np.zeros((1, 3, 8, 8), np.float32))
        assert set(feed) == {"x", name}
        assert feed[name].dtype == np.dtype(dtype)
        assert feed[name].shape == (1,) * len(shape)
        assert feed[name].item() == value
        assert found.notes == (f"input {name!r} is set to {value} (a switch of training)",)


def test_switches_by_their_place_in_the_graph() -> None:
    dropout = {"y": Node("Dropout", ("x", "ratio", "flag"), ("y",))}
    for name, dtype in [("flag", "bool"), ("ratio", "float32")]:
        inputs = [PICTURE, DeclaredInput(name, (), dtype)]
        assert find_picture_input(inputs, dropout, frozenset({name})).fixed[name].item() == 0
    used_twice = dropout | {"z": Node("Where", ("flag", "a", "b"), ("z",))}
    with pytest.raises(ModelError, match="has 2 inputs"):
        find_picture_input(
            [PICTURE, DeclaredInput("flag", (), "bool")], used_twice, frozenset({"flag"})
        )


@pytest.mark.parametrize(
    "other",
    [
        DeclaredInput("mask", (None, 64), "float32"),
        DeclaredInput("temperature", (), "float32"),
        DeclaredInput("second", (None, 3, 8, 8), "float32"),
        DeclaredInput("is_training", (7,), "bool"),
        DeclaredInput("is_training", (), "string"),
    ],
)
def test_inputs_of_unknown_value_are_named(other: DeclaredInput) -> None:
    with pytest.raises(
        ModelError, match=rf"has 2 inputs \('x' float32 .*, '{other.name}' "
    ) as error:
        find_picture_input([PICTURE, other], {}, frozenset({"x", other.name}))
    assert "export it with the picture as its only input" in str(error.value)
