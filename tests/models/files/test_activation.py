"""From an output back to its softmax: over what keeps, selects, reorders, rounds or scales."""

import pytest

from lagotto.models.files.activation import Activation, Node, find_activation

CONSTANTS = {"hundred": 100.0, "half": 0.5, "minus": -1.0, "zero": 0.0}


def chain(*steps: tuple[str, ...]) -> tuple[dict[str, Node], str]:
    """Operators one after the other from "z"; further inputs of a step follow its name."""
    nodes: dict[str, Node] = {}
    last = "z"
    for number, (operator, *others) in enumerate(steps):
        output = f"t{number}"
        inputs = tuple(last if name == "@" else name for name in (others or ["@"]))
        nodes[output] = Node(operator, inputs, (output,))
        last = output
    return nodes, last


def found(*steps: tuple[str, ...]) -> Activation | None:
    nodes, last = chain(*steps)
    return find_activation(nodes, last, CONSTANTS.get)


@pytest.mark.parametrize("operator", ["Identity", "Cast", "Squeeze", "Transpose", "Clip", "Round"])
def test_what_keeps_the_classes_is_passed_and_cut(operator: str) -> None:
    activation = found(("Softmax",), (operator,))
    assert activation is not None
    assert (activation.kind, activation.feed, activation.same_classes) == ("softmax", "z", True)


@pytest.mark.parametrize("operator", ["Slice", "Gather", "GatherElements", "Split"])
def test_what_selects_classes_is_passed_but_not_cut(operator: str) -> None:
    activation = found(("Sigmoid",), (operator, "@", "positions"), ("Reshape", "@", "shape"))
    assert activation is not None
    assert (activation.kind, activation.same_classes) == ("sigmoid", False)


def test_scaling_and_rounding_are_measured() -> None:
    activation = found(("Softmax",), ("Mul", "@", "hundred"), ("Round",))
    assert activation is not None
    assert (activation.gain, activation.step, activation.same_classes) == (100.0, 0.01, True)
    activation = found(("Softmax",), ("Mul", "hundred", "@"), ("Round",), ("Div", "@", "hundred"))
    assert activation is not None
    assert (activation.gain, activation.step) == (pytest.approx(1.0), pytest.approx(0.01))
    activation = found(("Softmax",), ("Div", "@", "half"))
    assert activation is not None
    assert (activation.gain, activation.step) == (2.0, 0.0)


@pytest.mark.parametrize(
    "step",
    [
        ("Mul", "@", "minus"),
        ("Mul", "@", "zero"),
        ("Mul", "@", "weights"),
        ("Div", "hundred", "@"),
        ("Sub", "half", "@"),
        ("Gemm", "@", "weights"),
    ],
)
def test_what_changes_the_order_of_the_classes_ends_the_walk(step: tuple[str, ...]) -> None:
    assert found(("Softmax",), step) is None


def test_logs_are_told_from_probabilities() -> None:
    for steps in [[("LogSoftmax",)], [("Softmax",), ("Log",)], [("Softmax",), ("LogSoftmax",)]]:
        activation = found(*steps)
        assert activation is not None
        assert (activation.feed, activation.is_log) == ("z", True)
    activation = found(("LogSoftmax",), ("Softmax",))
    assert activation is not None
    assert not activation.is_log


def test_the_exponential_of_a_log_softmax_is_a_softmax() -> None:
    activation = found(("LogSoftmax",), ("Exp",))
    assert activation is not None
    assert (activation.kind, activation.feed, activation.is_log) == ("softmax", "z", False)
    assert found(("Softmax",), ("Exp",)) is None


def heads(*operators: str) -> dict[str, Node]:
    nodes = {
        f"p{number}": Node(operator, (f"z{number}",), (f"p{number}",))
        for number, operator in enumerate(operators)
    }
    return nodes | {"all": Node("Concat", tuple(nodes), ("all",))}


def test_heads_of_one_kind_are_one_output() -> None:
    activation = find_activation(heads("Softmax", "Softmax"), "all")
    assert activation is not None
    assert (activation.kind, activation.same_classes) == ("softmax", False)
    assert find_activation(heads("Softmax", "Sigmoid"), "all") is None
    assert find_activation(heads("Softmax", "Relu"), "all") is None
    assert find_activation(heads("Softmax", "LogSoftmax"), "all") is None
    assert find_activation(heads(*["Softmax"] * 17), "all") is None


def test_heads_within_heads_do_not_make_the_walk_long() -> None:
    nodes = {"h0": Node("Softmax", ("z",), ("h0",))}
    for level in range(1, 60):
        below = f"h{level - 1}"
        nodes[f"i{level}"] = Node("Identity", (below,), (f"i{level}",))
        nodes[f"h{level}"] = Node("Concat", (f"i{level}",) * 16, (f"h{level}",))
    assert find_activation(nodes, "h59") is None


def test_a_gate_before_the_last_layers_is_not_taken_for_the_end() -> None:
    activation = found(("Sigmoid",), ("Slice", "@", "positions"), ("Softmax",))
    assert activation is not None
    assert (activation.kind, activation.feed, activation.same_classes) == ("softmax", "t1", True)
