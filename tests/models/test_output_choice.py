"""Which of several outputs holds the scores: each kind of evidence, and what it cannot decide."""

from dataclasses import replace

import pytest

from lagotto.core.errors import ModelError
from lagotto.models.files.activation import Node, find_activation
from lagotto.models.output_choice import choose_output
from lagotto.models.output_places import OutputRequest, PublishedOutput

NONE = OutputRequest()
Edge = tuple[str, str, str]


def graph(*edges: Edge) -> dict[str, Node]:
    """Operators as (operator, input, output)."""
    return {made: Node(operator, (source,), (made,)) for operator, source, made in edges}


BACKBONE = (("Conv", "x", "c"), ("Relu", "c", "e"))
"""A layer; its embedding is "e"."""

HEAD = (*BACKBONE, ("Gemm", "e", "z"), ("Softmax", "z", "p"))
"""Its logits are "z", its probabilities "p"."""


def outputs(
    edges: tuple[Edge, ...], **tensors: tuple[str, int | None]
) -> tuple[list[PublishedOutput], dict[str, Node]]:
    """Outputs of [?, width] by name, as copies of a tensor, and the graph that makes them."""
    nodes = graph(*edges, *(("Identity", tensor, name) for name, (tensor, _) in tensors.items()))
    made = [
        PublishedOutput(name, (None, width), "float32", name, find_activation(nodes, name))
        for name, (_, width) in tensors.items()
    ]
    return made, nodes


def chosen(
    edges: tuple[Edge, ...], request: OutputRequest = NONE, **tensors: tuple[str, int | None]
) -> str:
    made, nodes = outputs(edges, **tensors)
    return made[choose_output(made, nodes, request).index].name


def told(*widths: int) -> OutputRequest:
    return OutputRequest(fits_labels=lambda width: width in widths)


def test_a_single_output_is_taken_whatever_it_is() -> None:
    only = PublishedOutput("maps", (1, 8, 8, 4), "int64", "maps")
    assert choose_output([only], {}, NONE).index == 0
    assert choose_output([only], {}, NONE).notes == ()


@pytest.mark.parametrize("last", ["p", "z"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_embedding_is_passed_over_whatever_the_names(last: str, reverse: bool) -> None:
    for embedding, scores in [
        ("features", "probabilities"),
        ("output", "probabilities"),
        ("output_0", "output_1"),
        ("Identity", "Identity_1"),
        ("a", "b"),
    ]:
        pair = {embedding: ("e", 24), scores: (last, 7)}
        pair = dict(reversed(pair.items())) if reverse else pair
        assert chosen(HEAD, **pair) == scores
        assert chosen(HEAD, told(7), **pair) == scores
        same = {name: (tensor, 7) for name, (tensor, _) in pair.items()}
        assert chosen(HEAD, told(7), **same) == scores  # no help from the widths


def test_a_normalized_embedding_beside_the_head_is_one_too() -> None:
    edges = (*HEAD, ("LpNormalization", "e", "n"))
    assert chosen(edges, a=("n", 24), b=("z", 7)) == "b"


def test_labels_decide_between_heads() -> None:
    edges = (*HEAD, ("Gemm", "e", "y"))
    with pytest.raises(ModelError, match=r"is unclear: 'a' .*, 'b' "):
        chosen(edges, a=("z", 7), b=("y", 9))
    assert chosen(edges, told(9), a=("z", 7), b=("y", 9)) == "b"
    assert chosen(edges, told(7), a=("z", 7), b=("y", 9)) == "a"
    assert chosen(edges, told(2), a=("z", 7), b=("y", 1)) == "b"  # one unit for two labels
    with pytest.raises(ModelError, match="unclear"):
        chosen(edges, told(5), a=("z", 7), b=("y", 9))


def test_labels_that_fit_the_embedding_alone_decide_nothing() -> None:
    with pytest.raises(ModelError, match="unclear"):
        chosen(HEAD, told(24), features=("e", 24), probabilities=("p", 7))


def test_logits_are_read_rather_than_their_own_softmax() -> None:
    for first, second in [("logits", "probabilities"), ("a", "b")]:
        assert chosen(HEAD, **{first: ("z", 7), second: ("p", 7)}) == first
        assert chosen(HEAD, **{second: ("p", 7), first: ("z", 7)}) == first
    assert chosen(HEAD, a=("p", 7), b=("p", 7)) == "a"  # the same under two names
    twice = [PublishedOutput("", (1, 7), "float32", "z") for _ in range(2)]
    assert choose_output(twice, graph(*HEAD), NONE).index == 0


def test_whole_numbers_texts_and_maps_are_never_scores_while_another_fits() -> None:
    made, nodes = outputs(HEAD, scores=("p", 7))
    for dtype, shape in [("int64", (None, 1)), ("string", (None,)), ("bool", (None, 7))]:
        other = PublishedOutput("class", shape, dtype, "best")
        for both in ([other, *made], [*made, other]):
            choice = choose_output(both, nodes, NONE)
            assert both[choice.index].name == "scores"
            assert "'scores' [?, 7] is read" in choice.notes[0]
            assert f"passed over: 'class' {dtype} " in choice.notes[0]
    maps = PublishedOutput("scores_map", (1, 8, 8, 4), "float32", "maps")
    assert choose_output([maps, *made], nodes, NONE).index == 1
    with pytest.raises(ModelError, match="unclear"):
        choose_output([maps, replace(made[0], dtype="int64", activation=None)], nodes, NONE)


def test_names_decide_where_the_graph_says_nothing() -> None:
    edges = (*BACKBONE, ("Gemm", "e", "y"), ("Gemm", "e", "z"))
    for scores, other in [
        ("logits", "y"),
        ("my_scores", "output"),
        ("output", "1234"),
        ("class_logits", "aux_logits"),
        ("predictions", "bbox"),
        ("probs", "attention_probs"),
        ("1234", "projection"),
        ("confidences", "label"),
    ]:
        assert chosen(edges, **{other: ("y", 24), scores: ("z", 7)}) == scores
    assert chosen(edges, classes=("y", 7), scores=("z", 1)) == "classes"
    assert chosen(edges, prediction=("z", 1), dense_5=("y", 64)) == "prediction"
    for first, second in [("a", "b"), ("age_logits", "gender_logits"), ("output_0", "output_1")]:
        with pytest.raises(ModelError, match="unclear"):
            chosen(edges, **{first: ("y", 24), second: ("z", 7)})


def test_a_softmax_decides_between_plain_names_only() -> None:
    edges = (*HEAD, ("Gemm", "e", "y"))
    assert chosen(edges, a=("y", 4), b=("p", 7)) == "b"
    assert chosen(edges, output=("y", 4), b=("p", 7)) == "b"
    with pytest.raises(ModelError, match="unclear"):  # the name says one, the graph the other
        chosen(edges, scores=("y", 4), b=("p", 7))
    sigmoid = (*BACKBONE, ("Gemm", "e", "z"), ("Sigmoid", "z", "p"), ("Gemm", "e", "y"))
    with pytest.raises(ModelError, match="unclear"):  # boxes are sigmoids, too
        chosen(sigmoid, a=("y", 4), b=("p", 7))


def test_scores_that_feed_further_layers_are_not_called_an_embedding() -> None:
    edges = (*HEAD, ("Gemm", "p", "q"))
    with pytest.raises(ModelError, match="unclear"):
        chosen(edges, probabilities=("p", 7), quality=("q", 3))
    with pytest.raises(ModelError, match="unclear"):
        chosen((*HEAD, ("Gemm", "z", "q")), logits=("z", 7), result=("q", 3))


def test_the_mean_of_two_heads_is_read() -> None:
    nodes = graph(*BACKBONE, ("Gemm", "e", "one"), ("Gemm", "e", "two"))
    nodes["sum"] = Node("Add", ("one", "two"), ("sum",))
    made = [
        PublishedOutput(name, (None, 7), "float32", tensor)
        for name, tensor in [("cls_logits", "one"), ("dist_logits", "two"), ("logits", "sum")]
    ]
    assert made[choose_output(made, nodes, NONE).index].name == "logits"


def test_output_name_overrules_all_evidence() -> None:
    request = OutputRequest(name="embeddings", fits_labels=lambda width: width == 7)
    pair = {"embeddings": ("e", 24), "scores": ("p", 7)}
    assert chosen(HEAD, request, **pair) == "embeddings"
    made, nodes = outputs(HEAD, **pair)
    (note,) = choose_output(made, nodes, request).notes
    assert note == (
        "output 'embeddings' [?, 24] is read (model.json names it); passed over: 'scores' [?, 7]"
    )
    with pytest.raises(ModelError, match=r"output_name is 'score', but .* 'embeddings' \[\?, 24\]"):
        choose_output(made, nodes, OutputRequest(name="score"))


def test_what_is_unclear_says_how_to_decide() -> None:
    edges = (*BACKBONE, ("Gemm", "e", "y"), ("Gemm", "e", "z"))
    with pytest.raises(ModelError) as error:
        chosen(edges, a=("y", 24), b=("z", None))
    assert str(error.value) == (
        "which of the outputs holds the classes is unclear: 'a' [?, 24], 'b' [?, ?]; say which in "
        'a model.json beside the file: {"output_name": "..."}, or export the model with one output '
        "[batch, classes]"
    )


@pytest.mark.parametrize(
    ("shape", "fits", "width"),
    [
        ((None, 7), True, 7),
        ((1, 7, 1, 1), True, 7),
        ((1, 1, 1, 7), True, 7),
        ((7,), True, 7),
        ((7, 1, 1), True, 7),
        ((None, 1), True, 1),
        ((1, 1), True, 1),
        ((None, None), True, None),
        ((None,), True, None),
        ((), True, None),
        ((1, 7, 7), False, 7),
        ((None, 8, 8, 3), False, 8),
    ],
)
def test_widths_of_shapes(shape: tuple[int | None, ...], fits: bool, width: int | None) -> None:
    output = PublishedOutput("y", shape, "float32", "y")
    assert output.can_hold_scores is fits
    assert output.width == width


def test_a_graph_of_many_layers_and_outputs_is_compared_quickly() -> None:
    edges = [("Conv", f"t{i}", f"t{i + 1}") for i in range(3000)]
    edges[0] = ("Conv", "x", "t1")
    tensors = {f"f{i}": (f"t{i * 40 + 1}", 16) for i in range(60)}
    assert chosen((*edges, ("Softmax", "t3000", "p")), **tensors, last=("p", 7)) == "last"
