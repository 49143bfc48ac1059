"""Searches whose right answer is planted: the colour of a picture, known to some logits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import colour_world
from colour_world import COLOURS, MODELS, NAMES, PICTURES_A_COLOUR, World, planted
from lagotto.core.errors import MismatchError, UsageError
from lagotto.core.types import Hits, Query
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.batch_rules import RULES
from lagotto.evaluation.retrieval.probe_selection import distances, select_probes
from lagotto.hub.hub import Hub
from lagotto.hub.index.scoring import RULE_NAMES
from lagotto.hub.query.types import (
    ImageQuery,
    LogitQuery,
    QueryVector,
    TextQuery,
)
from lagotto.hub.query.vectors import standardize_query
from lagotto.hub.search.engine import to_unit_scores

K = PICTURES_A_COLOUR
EVERY_LOGIT = [(name, i) for name, model in MODELS.items() for i in range(len(model.colours))]


@pytest.fixture(scope="module")
def hub(world: World) -> Hub:
    return Hub.open(world.hub)


def names(found: Hits) -> list[tuple[str, int]]:
    return [(hit.model, hit.logit) for hit in found.hits]


@pytest.mark.parametrize("colour", NAMES)
def test_a_text_finds_exactly_the_logits_that_know_it_first(hub: Hub, colour: str) -> None:
    right = planted(colour)
    found = hub.search(colour, k=K, top=len(right) + 3)
    assert set(names(found)[: len(right)]) == right
    assert [hit.rank for hit in found.hits] == list(range(1, len(right) + 4))
    near, far = found.hits[len(right) - 1], found.hits[len(right)]
    assert near.distance < far.distance
    assert near.score > far.score
    assert near.confidence >= far.confidence
    assert {
        probe.source.split("_")[-1] for probe in map(hub.probes.__getitem__, found.deciding_probes)
    } == {f"{colour}.png"}


@pytest.mark.parametrize("shown", [1, 3])
@pytest.mark.parametrize("colour", NAMES)
def test_pictures_find_the_logits_that_know_them(
    hub: Hub, colour: str, shown: int, tmp_path: Path
) -> None:
    files = []
    for number in range(shown):
        files.append(tmp_path / f"{number}.png")
        colour_world.picture(colour, 90_000 + number).save(files[-1])
    found = hub.search(ImageQuery(tuple(files)), k=K)
    assert set(names(found)[: len(planted(colour))]) == planted(colour)
    assert found.query == Query("image", tuple(map(str, files)))


def test_several_pictures_count_by_their_mean(hub: Hub, tmp_path: Path) -> None:
    files = [tmp_path / f"{colour}.png" for colour in ("red", "red", "magenta")]
    for number, file in enumerate(files):
        colour_world.picture(file.stem, 90_000 + number).save(file)
    alone = hub.query_vector(ImageQuery((files[0],)))
    np.testing.assert_array_equal(
        hub.query_vector(ImageQuery((files[0],) * 2)).values, alone.values
    )
    embedded = np.stack([hub.encoder.embed_pixels(_pixels(file))[0] for file in files])
    mean = embedded.mean(axis=0)
    expected = standardize_query(hub.reader.probe_embeddings @ (mean / np.linalg.norm(mean)))
    asked = hub.query_vector(ImageQuery(tuple(files))).values
    np.testing.assert_allclose(asked, expected, atol=1e-5)


def _pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture)[None]


@pytest.mark.parametrize(("model", "logit"), EVERY_LOGIT)
def test_a_logit_finds_its_twins_and_not_itself(hub: Hub, model: str, logit: int) -> None:
    twins = planted(MODELS[model].colours[logit]) - {(model, logit)}
    found = hub.search(LogitQuery(model, logit), k=K, top=len(EVERY_LOGIT))
    assert set(names(found)[: len(twins)]) == twins
    assert sorted(names(found)) == sorted(set(EVERY_LOGIT) - {(model, logit)})


def test_labels_are_shown_where_there_are_any(hub: Hub) -> None:
    found = hub.search("white", k=K, top=3)
    assert {hit.model: hit.label for hit in found.hits} == {
        "opencv": "white",
        "bytes": "white",
        "nameless": None,
    }


def test_by_model_keeps_the_best_logit_of_each_model_in_the_same_order(hub: Hub) -> None:
    every = hub.search("red", k=K, top=len(EVERY_LOGIT)).hits
    folded = hub.search("red", k=K, top=100, by_model=True).hits
    best = {}
    for hit in every:
        best.setdefault(hit.model, (hit.logit, hit.distance))
    assert [(hit.model, (hit.logit, hit.distance)) for hit in folded] == list(best.items())
    assert [hit.rank for hit in folded] == [1, 2, 3, 4, 5, 6, 7]
    assert hub.search("red", k=K, top=2, by_model=True).hits == folded[:2]


def test_a_model_file_outside_asks_what_the_same_model_inside_asks(
    hub: Hub, world: World, tmp_path: Path
) -> None:
    for name in ("opencv", "symmetric"):
        outside = colour_world.write_classifier(tmp_path / f"other_{name}", MODELS[name])
        asked = hub.query_vector(LogitQuery(str(outside), 1))
        inside = hub.query_vector(LogitQuery(name, 1))
        np.testing.assert_array_equal(asked.values, inside.values)
        found = hub.nearest(asked, k=K)
        assert names(found)[0] == (name, 1)  # the twin inside is found: it is not the asker
        assert found.hits[0].distance == pytest.approx(0, abs=1e-5)


def test_an_outside_model_leaves_the_hub_as_it_was(
    world: World, hub_copy: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in hub_copy.rglob("*") if path.is_file()}
    odd = colour_world.Classifier(("red", "blue"), edge=10)
    outside = colour_world.write_classifier(tmp_path / "odd", odd)
    found = Hub.open(hub_copy).search(LogitQuery(str(outside), 0), k=K, top=3)
    assert set(names(found)) == planted("red")
    assert {path: path.read_bytes() for path in hub_copy.rglob("*") if path.is_file()} == before


def test_the_name_of_a_copy_asks_for_the_model_and_does_not_find_it(
    world: World, hub_copy: Path, tmp_path: Path
) -> None:
    colour_world.write_classifier(tmp_path / "renamed", MODELS["plain"])
    hub = Hub.open(hub_copy)
    assert hub.add([tmp_path / "renamed"]).copies == (("renamed", "plain"),)
    found = hub.search(LogitQuery("renamed", 0), k=K, top=len(EVERY_LOGIT))
    assert ("plain", 0) not in names(found)
    assert len(found.hits) == len(EVERY_LOGIT) - 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**31), k=st.integers(1, 72), top=st.integers(1, 30), discrete=st.booleans()
)
def test_the_ranking_is_that_of_plain_floats(
    hub: Hub, seed: int, k: int, top: int, discrete: bool
) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 4, 72).astype(np.float32) if discrete else rng.normal(size=72)
    vector = QueryVector(Query("text", "random"), standardize_query(raw))
    found = hub.nearest(vector, top=top, k=k, rule="paper")
    standardized = np.stack([hub.reader.descriptor(*name) for name in EVERY_LOGIT], axis=1)
    selected = select_probes(vector.values, k, "top-k")
    plain = dict(
        zip(EVERY_LOGIT, distances(vector.values, standardized, selected).tolist(), strict=True)
    )
    assert found.deciding_probes == tuple(selected.tolist())
    measured = [hit.distance for hit in found.hits]
    assert measured == sorted(measured)
    assert measured == pytest.approx([plain[name] for name in names(found)], rel=1e-4, abs=1e-5)
    assert measured == pytest.approx(sorted(plain.values())[:top], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("colour", NAMES)
def test_the_paper_s_rule_finds_them_too(hub: Hub, colour: str) -> None:
    found = hub.search(colour, k=K, top=len(planted(colour)), rule="paper")
    assert set(names(found)) == planted(colour)


def test_both_colours_either_and_one_without_the_other(hub: Hub) -> None:
    either = hub.search("red OR blue", k=K, top=len(planted("red") | planted("blue")))
    assert set(names(either)) == planted("red") | planted("blue")
    without = hub.search("(red OR blue) AND NOT blue", k=K, top=len(planted("red")))
    assert set(names(without)) == planted("red")
    both = hub.search("red AND blue", k=K, top=1).hits[0]
    assert both.score < hub.search("red", k=K, top=1).hits[0].score


def test_the_batched_rules_score_as_the_search_does(hub: Hub) -> None:
    standardized = np.stack([hub.reader.descriptor(*name) for name in EVERY_LOGIT], axis=1)
    concepts = hub.encoder.embed_texts(
        [hub.encoder.info.prompt_template.replace("{}", colour) for colour in NAMES]
    )
    for rule in RULE_NAMES:
        scores = RULES[rule](hub.reader.space, concepts, standardized)
        for row, colour in zip(scores, NAMES, strict=True):
            found = hub.search(colour, rule=rule, top=len(EVERY_LOGIT), behaviour_only=True).hits
            by_name = dict(zip(EVERY_LOGIT, row.tolist(), strict=True))
            asked = np.array([by_name[hit.model, hit.logit] for hit in found], np.float64)
            if rule == "default":  # the search sees descriptors rounded to int8
                told, asked = [hit.score for hit in found], to_unit_scores(asked, len(EVERY_LOGIT))
            else:
                told = [-hit.distance for hit in found]
            np.testing.assert_allclose(told, asked, atol=0.01 if rule == "default" else 1e-3)


def test_an_unknown_rule_is_refused(hub: Hub) -> None:
    with pytest.raises(UsageError, match="Did you mean 'paper'"):
        hub.search("red", rule="papers")


def test_the_default_k_is_fifty(hub: Hub) -> None:
    assert hub.search("red").k == 50
    assert hub.search(LogitQuery("plain", 0)).k == len(hub.probes)
    assert hub.search("red") == hub.search(TextQuery("red"), k=50)


def test_a_template_replaces_that_of_the_encoder(hub: Hub) -> None:
    found = hub.search(TextQuery("red", template="{}"), k=K, top=3)
    assert set(names(found)) == planted("red")
    assert found.query == Query("text", "red")


def test_a_text_beyond_the_context_is_cut_with_a_note(hub: Hub) -> None:
    found = hub.search("red " * 30, k=K, top=3)
    assert set(names(found)) == planted("red")
    (note,) = found.notes
    assert "37 tokens" in note
    assert "reads 12" in note


def test_the_search_does_not_depend_on_the_order_of_adding(
    world: World, empty_copy: Path, hub: Hub
) -> None:
    other = Hub.open(empty_copy)
    for name in ("symmetric", "plain", "channels_last"):
        other.add([world.models / name])
    found = other.search("red", k=K, top=3)
    assert set(names(found)) == planted("red")
    distance = {(h.model, h.logit): h.distance for h in hub.search("red", k=K, top=3).hits}
    assert {(h.model, h.logit): h.distance for h in found.hits} == distance


@pytest.mark.parametrize("k", [0, -1, 73, 10**9])
def test_k_out_of_range_is_refused(hub: Hub, k: int) -> None:
    with pytest.raises(UsageError, match="choose k between 1 and 72"):
        hub.search("red", k=k)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "text is empty"),
        (" \n", "text is empty"),
        (TextQuery("red", template="no place"), "exactly one"),
        (LogitQuery("plian", 0), "Did you mean 'plain'"),
        (LogitQuery("plain", 3), "0 to 2"),
        (LogitQuery("plain", -1), "0 to 2"),
        (ImageQuery((Path("nowhere.png"),)), "nowhere.png"),
    ],
)
def test_queries_that_cannot_be_answered(hub: Hub, query: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        hub.search(query)  # type: ignore[arg-type]


def test_a_query_without_pictures_is_refused() -> None:
    with pytest.raises(UsageError, match="no example pictures given"):
        ImageQuery(())


def test_another_encoder_is_refused_by_name(world: World, tmp_path: Path) -> None:
    other = colour_world.write_encoder(tmp_path / "sharper", sharpness=9.0)
    with pytest.raises(MismatchError, match=r"made with encoder encoder .* not with sharper"):
        Hub.open(world.hub, str(other)).search("red")
    with pytest.raises(MismatchError, match="sharper"):
        Hub.open(world.hub, load_encoder(str(other))).search("red")
    moved = colour_world.write_encoder(tmp_path / "moved")
    assert set(names(Hub.open(world.hub, str(moved)).search("red", k=K, top=3))) == planted("red")


def test_a_hub_without_models_says_how_to_add_some(world: World) -> None:
    with pytest.raises(UsageError, match="lagotto hub add"):
        Hub.open(world.empty_hub).search("red")


def test_every_colour_is_known_to_two_models_at_least() -> None:
    assert all(len(planted(colour)) >= 2 for colour in COLOURS)  # else the tests above are idle
