"""Twins and reference models in the world of colours, where every answer is planted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import colour_world
from colour_world import NAMES, TRAINED, World
from command_line import lagotto
from lagotto.core.types import Hits
from lagotto.hub.hub import Hub
from lagotto.hub.labels.named import named_through
from lagotto.hub.labels.twins.probability import TWINS
from lagotto.hub.labels.twins.table import Twins, choose_teachers
from lagotto.hub.prepare import reference_notes
from lagotto.hub.text.matching import FIRMLY, OPENLY, Named
from taught_world import copy_of, without_labels

OF_NAMELESS = dict(enumerate(TRAINED["all_nameless"].colours))


@pytest.fixture(scope="module")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub of all_eight with labels, all_nameless without, and three with labels."""
    return colour_world.build_trained_hub(world, tmp_path_factory.mktemp("trained"))


def bytes_of(found: Hits) -> list[tuple[object, ...]]:
    return [(hit.model, hit.logit, hit.score, hit.distance, hit.confidence) for hit in found]


def test_a_reference_names_the_outputs_that_behave_like_its_own(
    trained: Path, tmp_path: Path
) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    for colour in NAMES:
        first = hub.search(colour, top=1, behaviour_only=True)[0]
        assert first.model != "all_eight"
        assert colour in (OF_NAMELESS[first.logit], TRAINED["three"].colours[first.logit % 3])
        assert first.through is not None
        assert (first.through.model, first.through.label) == ("all_eight", colour)
        assert first.through.belief == "reference"
        assert first.confidence is not None
        assert first.confidence > 0.3


def test_without_references_it_is_the_rule_that_reads_no_label(
    trained: Path, tmp_path: Path
) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    plain = Hub.open(trained)
    for colour in ("red", "cyan"):
        taught = hub.search(colour, behaviour_only=True, references=False, with_references=True)
        assert bytes_of(taught) == bytes_of(plain.search(colour, behaviour_only=True))
        assert all(hit.through is None for hit in taught)


def test_a_hub_without_believed_labels_has_no_twins_and_answers_as_by_behaviour(
    trained: Path, tmp_path: Path
) -> None:
    gone = dict.fromkeys(TRAINED, without_labels)
    hub = copy_of(trained, tmp_path / "hub", gone)
    assert not (hub.folder / "twins.safetensors").exists()
    for colour in NAMES:
        found = hub.search(colour)
        assert bytes_of(found) == bytes_of(Hub.open(trained).search(colour, behaviour_only=True))


def test_a_model_without_labels_is_described_by_its_twins_names(
    world: World, trained: Path, tmp_path: Path
) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    for model in ("all_nameless", str(trained.parent / "models" / "all_nameless")):
        for output in hub.describe(model).logits:
            best = output.proposals[0]
            assert (best.name, output.name) == (OF_NAMELESS[output.logit],) * 2
            assert best.through is not None
            assert best.through.model in ("all_eight", "three")
    (first, *_) = hub.describe("all_nameless", ["scarlet", "lime"]).logits
    assert {proposal.through for proposal in first.proposals} == {None}


def test_a_list_is_audited_against_references(trained: Path, tmp_path: Path) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    right = list(TRAINED["all_nameless"].colours)
    assert hub.audit("all_nameless", right).verdict == "fits"
    audit = hub.audit("all_nameless", right[-1:] + right[:-1])
    assert (audit.verdict, audit.better_order) == ("another order fits", "shifted by +1")
    assert audit.proposed == tuple(right)
    own = hub.audit("three", ["green", "blue", "red"])
    assert (own.verdict, own.better_order) == ("another order fits", "shifted by -1")
    assert own.reason.startswith("of 3 outputs that behave like a reference's output")
    swapped = hub.audit("all_nameless", right[::-1])
    assert swapped.verdict in ("contradicted", "another order fits")
    assert hub.audit("three", ["one", "two", "three"]).verdict == "cannot be judged"


def test_the_way_to_a_hit_is_shown(trained: Path, tmp_path: Path) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    sheet = tmp_path / "sheet.png"
    arguments = [str(hub.folder), "cyan", "--top", "1", "--explain", str(sheet)]
    answer = lagotto("search", *arguments)
    logit = TRAINED["all_eight"].colours.index("cyan")
    assert f"hit 1: through all_eight:{logit} `cyan` (believed: reference; the same" in answer.out
    with Image.open(sheet) as picture:
        with_way = picture.height
    lagotto("search", *arguments, "--no-reference", "--behaviour-only")
    with Image.open(sheet) as picture:
        assert picture.height < with_way


def test_references_are_no_hits_unless_they_are_wanted(trained: Path, tmp_path: Path) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    for rule in ("default", "paper", "full-query"):
        for by_model in (False, True):
            options = {"rule": rule, "by_model": by_model, "top": 30}
            assert "all_eight" not in {hit.model for hit in hub.search("red", **options)}
            shown = hub.search("red", with_references=True, **options)
            assert "all_eight" in {hit.model for hit in shown}
    every = copy_of(trained, tmp_path / "every", None, "all_eight", "three")
    every.remove("all_nameless")
    assert len(every.search("red")) == 0


LISTED = ("all_eight", "three")
SHIFTED = dict.fromkeys(LISTED, lambda labels: labels[1:] + labels[:1])
PERMUTED = {
    "all_eight": lambda labels: [labels[i] for i in (3, 0, 6, 1, 7, 2, 4, 5)],
    "three": lambda labels: [labels[i] for i in (1, 2, 0)],
}
HALF = {"three": SHIFTED["three"]}
HOSTILE = {"all_eight": lambda labels: ["dog"] * len(labels)}
ALL_RED = {"all_eight": lambda labels: ["red"] * len(labels)}
FOREIGN = {"all_eight": lambda labels: [f"bird of kind {i}" for i in range(len(labels))]}
WRONG = {
    "every list shifted": SHIFTED,
    "every list permuted": PERMUTED,
    "half of the lists wrong": HALF,
    "a hostile list of one word": HOSTILE,
    "a hostile list of one colour": ALL_RED,
    "another domain": FOREIGN,
}


VOUCHED_FOR = [name for name in WRONG if name != "every list permuted"]
"""A short permuted list that cannot be judged is believed of a reference, and said to be: below."""


@pytest.mark.parametrize(
    ("world_of", "reference"),
    [*((name, ()) for name in WRONG), *((name, ("all_eight",)) for name in VOUCHED_FOR)],
)
def test_wrong_lists_teach_nothing(
    trained: Path, tmp_path: Path, world_of: str, reference: tuple[str, ...]
) -> None:
    """By behaviour alone every first hit is right; what wrong lists teach leaves it so."""
    hub = copy_of(trained, tmp_path / "hub", WRONG[world_of], *reference)
    everything = {"behaviour_only": True, "with_references": True}
    for colour in NAMES:
        alone = hub.search(colour, top=1, references=False, **everything)[0]
        assert TRAINED[alone.model].colours[alone.logit] == colour
        first = hub.search(colour, top=1, **everything)[0]
        assert TRAINED[first.model].colours[first.logit] == colour
        ways = [hit for hit in hub.search(colour, top=3) if hit.through is not None]
        assert all(TRAINED[hit.model].colours[hit.logit] == colour for hit in ways)


def test_a_reference_with_a_list_that_cannot_be_right_is_named(
    trained: Path, tmp_path: Path
) -> None:
    hub = copy_of(trained, tmp_path / "hub", SHIFTED, "all_eight")
    said = "the labels of the reference all_eight are not believed"
    assert any(said in note for note in hub.search("red").notes)
    assert any(said in note for note in hub.status().notes)
    assert hub.status().references == ("all_eight",)
    unsure = copy_of(trained, tmp_path / "unsure", PERMUTED, "all_eight")
    said = "the reference all_eight are believed unchecked: cannot be judged"
    assert any(said in note for note in unsure.search("red").notes)


def test_two_references_that_contradict_each_other_are_both_named(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lagotto.hub.labels import trust

    monkeypatch.setattr(trust, "DISBELIEVED", ())
    hub = copy_of(trained, tmp_path / "hub", HALF, "all_eight", "three")
    (note,) = [note for note in hub.search("red").notes if "contradict" in note]
    assert "all_eight and three contradict each other: of 3 names that both have, 0" in note
    assert note.endswith("the labels of three, which nothing bears out, teach nothing")
    assert note in reference_notes(hub.reader)
    monkeypatch.setattr(trust.LabelTrust, "is_firm", lambda *_: False)
    unsure = copy_of(trained, tmp_path / "unsure", HALF, "all_eight", "three")
    (note,) = [note for note in unsure.search("red").notes if "contradict" in note]
    assert note.endswith("remove the wrong one")


def test_a_wrong_list_that_is_vouched_for_is_not_heard_beside_a_right_one(
    trained: Path, tmp_path: Path
) -> None:
    """Three outputs are too few to be judged alone; a reference whose list fits tells."""
    permuted = {"three": PERMUTED["three"]}
    alone = copy_of(trained, tmp_path / "alone", permuted, "three")
    assert any("three are believed unchecked" in note for note in alone.status().notes)
    hub = copy_of(trained, tmp_path / "hub", permuted, "all_eight", "three")
    right = copy_of(trained, tmp_path / "right", permuted, "all_eight")
    for colour in TRAINED["three"].colours:
        hit, plain = (
            next(hit for hit in each.search(colour) if hit.model == "all_nameless")
            for each in (hub, right)
        )
        assert OF_NAMELESS[hit.logit] == colour
        assert hit.through == plain.through
        assert hit.through.model == "all_eight"
    for output in hub.describe("all_nameless").logits:
        assert output.name == OF_NAMELESS[output.logit]


def test_what_speaks_against_a_reference_is_said_when_it_is_added(
    empty_copy: Path, tmp_path: Path
) -> None:
    """Also of a short list in a wrong order, which nothing in the hub can tell from a right one."""
    right = TRAINED["all_eight"]
    wrong = tuple(PERMUTED["all_eight"](list(right.colours)))
    colour_world.write_classifier(tmp_path / "unsure", replace(right, names=wrong))
    said = lagotto("hub", "add", empty_copy, tmp_path / "unsure", "--reference")
    assert said.code == 0
    assert "unsure are believed unchecked: cannot be judged; in a wrong order" in said.err
    assert "see: lagotto audit HUB unsure" in said.err
    silent = lagotto("hub", "add", empty_copy, tmp_path / "unsure")
    assert "unchecked" not in silent.err


def test_the_file_is_read_kept_up_to_date_and_found_damaged(trained: Path, tmp_path: Path) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    file = hub.folder / "twins.safetensors"
    before, found = file.read_bytes(), bytes_of(hub.search("cyan"))
    hub.audit_labels()
    assert file.read_bytes() == before
    assert hub.verify() == ()
    file.write_bytes(before[:-100] + bytes([before[-100] ^ 1]) + before[-99:])
    assert [damage.what for damage in hub.verify()] == [str(file)]
    again = Hub.open(hub.folder)
    answer = again.search("cyan")
    assert bytes_of(answer) == found
    assert any("found anew for this search" in note for note in answer.notes)
    again.audit_labels()
    assert file.read_bytes() == before
    hub.remove("three")
    assert not any("found anew" in note for note in hub.search("cyan").notes)
    hub.remove("all_eight")
    assert not file.exists()
    (note,) = [n for n in hub.search("cyan", references=True).notes if "no reference" in n]
    assert "lagotto hub add HUB MODEL --reference" in note


def test_only_new_models_are_compared_while_the_believed_labels_stay(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lagotto.hub.labels.twins import stored

    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    model = replace(TRAINED["all_nameless"], seed=9, edge=16)
    colour_world.write_classifier(tmp_path / "new", model)
    compared = []
    finder = stored.TwinFinder

    class Counting(finder):
        def of_model(self, owner: int, wanted: np.ndarray) -> Twins:
            compared.append(owner)
            return super().of_model(owner, wanted)

    monkeypatch.setattr(stored, "TwinFinder", Counting)
    hub.add(tmp_path / "new")
    assert set(compared) == {3}
    stored = (hub.folder / "twins.safetensors").read_bytes()
    (hub.folder / "twins.safetensors").unlink()
    hub.audit_labels()
    assert (hub.folder / "twins.safetensors").read_bytes() == stored


def test_models_are_added_as_references_and_those_without_labels_refused(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    for name in TRAINED:
        colour_world.write_classifier(tmp_path / name, TRAINED[name])
    hub = Hub.open(empty_copy)
    hub.add(tmp_path / "three")
    answer = lagotto("hub", "add", hub.folder, tmp_path / "all_nameless", "--reference")
    assert answer.code == 1
    assert "put labels.txt beside it" in answer.out
    report = hub.add([tmp_path / "all_eight", tmp_path / "all_nameless"], reference=True)
    assert report.done == ("all_eight",)
    (refused,) = report.failures
    assert refused.model == "all_nameless"
    assert "no reference without a label for each of its 8 outputs" in refused.reason
    assert hub.status().references == ("all_eight",)
    assert hub.models == ("three", "all_eight")
    hub.add(tmp_path / "all_nameless")
    (tmp_path / "all_nameless" / "labels.txt").write_text("\n".join(OF_NAMELESS.values()))
    (known,) = hub.add(tmp_path / "all_nameless", reference=True).failures
    assert f"run: lagotto hub remove {hub.folder} all_nameless, then add it" in known.reason
    hub.remove("all_nameless")
    assert hub.add(tmp_path / "all_nameless", reference=True).done == ("all_nameless",)
    hub.remove("all_nameless")
    again = lagotto("hub", "add", hub.folder, tmp_path / "three", "--reference")
    assert "references: three, all_eight" in again.out
    assert hub.status().references == ("three", "all_eight")
    hub.remove("three")
    status = lagotto("hub", "status", hub.folder, "--json").json
    assert status["references"] == ["all_eight"]
    assert "reference all_eight" in lagotto("hub", "status", hub.folder).out
    assert hub.verify() == ()
    assert "the only reference" in lagotto("hub", "remove", hub.folder, "all_eight").err


def test_teachers_of_many_names_come_before_many_of_one_name() -> None:
    labelled = [(model, 10 * model + i, "cat, tabby") for model in range(5) for i in range(1)]
    labelled += [(7, 70, "dog"), (7, 71, "wolf"), (8, 80, "dog"), (9, 90, "dog")]
    chosen = choose_teachers(labelled, replace(TWINS, most_teachers=4))
    assert chosen.columns.tolist() == [0, 10, 70, 71]
    assert chosen.left_out == 5
    hostile = choose_teachers([(0, i, "dog") for i in range(5)])
    assert (len(hostile.columns), hostile.left_out) == (0, 0)


def test_a_logit_keeps_the_name_that_says_most() -> None:
    named = Named(
        np.array([2, 5, 9]),
        np.array([1.0, 0.5, 1.0], np.float32),
        np.array([FIRMLY, FIRMLY, OPENLY], np.float32),
    )
    table = Twins(
        np.array([2, 2, 5, 9]), np.array([4, 7, 7, 8]), np.array([0.5, 0.2, 0.9, 0.9], np.float32)
    )
    joined = named_through(named, [table])
    assert joined.columns.tolist() == [2, 4, 5, 7, 8, 9]
    assert joined.teachers.tolist() == [2, 2, 5, 5, 9, 9]
    np.testing.assert_allclose(joined.probability, [1, 0.5, 1, 0.9, 0.9, 1])
    assert joined.trust[4] == OPENLY
    assert (
        named_through(
            named,
            [Twins(*(part[:0] for part in (table.teachers, table.columns, table.probability)))],
        )
        is named
    )
