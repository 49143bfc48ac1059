"""What references teach beside a plain search: compound queries, label sets, concepts, notes."""

from pathlib import Path

import numpy as np
import pytest

import colour_world
from colour_world import TRAINED, World
from command_line import lagotto
from lagotto.core.errors import ModelError
from lagotto.core.vectors import unit_rows
from lagotto.hub.hub import Hub
from lagotto.hub.labels import coverage
from lagotto.hub.labels.named import NameSources, likely_labels
from lagotto.hub.labels.pictured import ReferenceLabels
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.stored import open_twins
from lagotto.hub.query.types import ImageQuery
from lagotto.hub.text.meaning import quantize_directions
from taught_world import copy_of, without_labels

NAMELESS = TRAINED["all_nameless"].colours


@pytest.fixture(scope="module")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_world.build_trained_hub(world, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def taught(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """One reference, all other lists gone."""
    gone = {name: without_labels for name in TRAINED if name != "all_eight"}
    return copy_of(trained, tmp_path_factory.mktemp("taught") / "hub", gone, "all_eight")


def test_concepts_joined_by_operators_go_through_references(taught: Hub) -> None:
    either = taught.search("cyan OR magenta", top=2)
    assert {colour_of(hit) for hit in either} <= {"cyan", "magenta"}
    assert {hit.through.label for hit in either if hit.through} == {colour_of(h) for h in either}
    first = taught.search("cyan AND NOT magenta", top=1)[0]
    assert (colour_of(first), first.through.label) == ("cyan", "cyan")
    for hit in taught.search("NOT magenta", top=8):
        assert hit.through is None


def colour_of(hit: object) -> str:
    return TRAINED[hit.model].colours[hit.logit]


def test_a_note_says_where_no_label_of_a_reference_comes_near(
    taught: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lagotto.hub.text.meaning import LabelEmbeddings

    monkeypatch.setattr(LabelEmbeddings, "likeness", lambda *_: {})
    for option in ({}, {"behaviour_only": True}):
        assert not any("comes near" in note for note in taught.search("cyan", **option).notes)
        (note,) = [n for n in taught.search("violin", **option).notes if "comes near" in n]
        assert note.startswith("no label of the hub's references comes near 'violin'")
    (note,) = [n for n in taught.search("cyan AND NOT violin").notes if "comes near" in n]
    assert "'violin':" in note
    assert "'cyan'" not in note
    silent = taught.search("violin", references=False), Hub.open(trained).search("violin")
    assert not any("comes near" in note for found in silent for note in found.notes)


def test_a_label_set_is_covered_by_the_names_of_references(taught: Hub) -> None:
    wanted = list(NAMELESS)
    best, *others = taught.cover(wanted)
    assert best.model == "all_nameless"
    assert [pair.logit for pair in best.labels] == list(range(len(wanted)))
    assert all(pair.through is not None and pair.through > 0.3 for pair in best.labels)
    assert "all_eight" not in {model.model for model in (best, *others)}
    plain = taught.cover(wanted, references=False)
    assert {pair.through for model in plain for pair in model.labels} == {None}
    assert "all_eight" in {model.model for model in plain}
    answer = lagotto("search", taught.folder, "--labels", ",".join(wanted), "--json").json
    assert answer["models"][0]["labels"][0]["through"] == pytest.approx(
        best.labels[0].through, abs=1e-3
    )
    off = lagotto("search", taught.folder, "--labels", "red,cyan", "--no-reference", "--json").json
    assert off["models"][0]["labels"][0]["through"] is None


def test_a_name_beats_a_fit_that_says_another_output(
    taught: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an encoder that takes each colour for the next one, only references are right."""
    real = coverage.fit

    def wrong(*given: object) -> np.ndarray:
        return np.roll(real(*given), 1, axis=0)

    monkeypatch.setattr(coverage, "fit", wrong)
    wanted = list(NAMELESS)
    (best, *_) = [found for found in taught.cover(wanted) if found.model == "all_nameless"]
    assert [pair.logit for pair in best.labels] == list(range(len(wanted)))
    misled = [m for m in taught.cover(wanted, references=False) if m.model == "all_nameless"]
    assert [pair.logit for pair in misled[0].labels] != list(range(len(wanted)))


def test_a_hub_of_references_alone_covers_nothing(trained: Path, tmp_path: Path) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight", "three")
    hub.remove("all_nameless")
    assert hub.cover(["red", "cyan"]) == ()
    assert lagotto("search", hub.folder, "--labels", "red,cyan").code == 0


def test_outputs_of_one_concept_are_grouped_over_models(taught: Hub) -> None:
    groups = {group.name: group.outputs for group in taught.duplicates().concepts}
    assert set(groups) == set(TRAINED["all_eight"].colours)
    for name, outputs in groups.items():
        assert {TRAINED[output.model].colours[output.logit] for output in outputs} == {name}
        assert len({output.model for output in outputs}) == len(outputs) >= 2
        sure = [output.model for output in outputs if output.probability == 1]
        assert sure == ["all_eight"]
    answer = lagotto("duplicates", taught.folder, "--json").json
    assert {group["name"] for group in answer["concepts"]} == set(groups)
    assert "concepts that several models have: 8" in lagotto("duplicates", taught.folder).out


def test_likely_labels_are_those_of_twins_where_there_is_no_own(
    taught: Hub, trained: Path, tmp_path: Path
) -> None:
    reader, trust = taught.reader, taught.label_trust
    twins = open_twins(taught.folder / "twins.safetensors", reader, trust)
    assert likely_labels(reader, trust, twins, "all_nameless") == NAMELESS
    shifted = {"all_nameless": lambda _: [*NAMELESS[1:], NAMELESS[0]]}
    wrong = copy_of(trained, tmp_path / "hub", shifted, "all_eight")
    reader, trust = wrong.reader, wrong.label_trust
    twins = open_twins(wrong.folder / "twins.safetensors", reader, trust)
    listed = likely_labels(reader, trust, twins, "all_nameless")
    believed = trust.believed("all_nameless")
    for output, label in enumerate(listed):
        own = NAMELESS[(output + 1) % len(NAMELESS)]
        assert label == (own if believed[output] > 0 else NAMELESS[output])
    assert (believed == 0).any()


def test_a_model_source_becomes_the_reference_or_says_why_not(
    empty_copy: Path, tmp_path: Path
) -> None:
    for name in ("three", "all_nameless"):
        colour_world.write_classifier(tmp_path / name, TRAINED[name])
    hub = Hub.open(empty_copy)
    assert hub.add_reference(tmp_path / "three") == ("three",)
    assert hub.add_reference(tmp_path / "three") == ("three",)
    with pytest.raises(ModelError, match="is no reference: no reference without a label for each"):
        hub.add_reference(tmp_path / "all_nameless")
    assert hub.status().references == hub.models == ("three",)


def test_a_picture_is_named_by_the_labels_of_references(taught: Hub, tmp_path: Path) -> None:
    """The first hit is a twin of the output whose label the picture shows."""
    for number, colour in enumerate(("cyan", "magenta", "yellow")):
        colour_world.picture(colour, 70_000 + number).save(tmp_path / f"{colour}.png")
        query = ImageQuery(tmp_path / f"{colour}.png")
        first, plain = taught.search(query, top=1)[0], taught.search(query, references=False)
        assert colour_of(first) == colour
        assert (first.through.model, first.through.label) == ("all_eight", colour)
        assert 0 < first.through.probability <= 1
        assert all(hit.through is None for hit in plain)
        assert first.score > next(
            hit.score for hit in plain if (hit.model, hit.logit) == (first.model, first.logit)
        )
        assert taught.search(query, top=1, behaviour_only=True)[0] == first


def test_a_picture_has_a_name_only_if_one_is_clear() -> None:
    """Near enough, and clearly nearer than labels of other names; equal names do not compete."""
    labels = ReferenceLabels(
        np.array([4, 7, 9]),
        np.array([0, 1, 0]),
        unit_rows(np.array([[1, 0, 0], [0, 1, 0], [0.98, 0, 0.2]], np.float32)),
        np.ones(3, np.float32),
    )
    nothing = quantize_directions([], np.zeros((0, 3), np.float32), np.zeros(3, np.float32))
    sources = NameSources(LabelTrust([]), nothing)

    def columns(*direction: float) -> list[int]:
        return labels.named(np.array(direction, np.float32), sources).columns.tolist()

    assert columns(2.0, 0.1, 0.0) == [4, 9]
    assert columns(0.1, 1.0, 0.0) == [7]
    assert columns(1.0, 0.95, 0.0) == []
    assert columns(0.2, 0.1, 2.0) == []
    assert columns(0.0, 0.0, 0.0) == []
