"""Verdicts that are kept in a hub hear its references."""

from dataclasses import replace
from pathlib import Path

import pytest

import colour_world
from colour_world import TRAINED, World
from command_line import lagotto
from lagotto.hub.hub import Hub
from lagotto.hub.labels.audits.by_references import audit_hub
from taught_world import Relabel, copy_of

SHIFTED = {"three": lambda labels: labels[1:] + labels[:1]}


@pytest.fixture(scope="module")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_world.build_trained_hub(world, tmp_path_factory.mktemp("trained"))


def verdicts(hub: Hub) -> dict[str, str | None]:
    return {each.model: each.audit and each.audit.verdict for each in hub.reader.label_lists()}


def shifted_three(trained: Path, folder: Path, *references: str) -> Hub:
    """A list of three names that the encoder alone cannot judge, shifted by one."""
    relabel: dict[str, Relabel] = SHIFTED
    return copy_of(trained, folder, relabel, *references)


def test_a_shifted_list_of_three_is_kept_as_wrong_and_not_believed(
    trained: Path, tmp_path: Path
) -> None:
    plain = shifted_three(trained, tmp_path / "plain")
    hub = shifted_three(trained, tmp_path / "hub", "all_eight")
    assert verdicts(plain)["three"] != "another order fits"
    assert verdicts(hub) == {**verdicts(plain), "three": "another order fits"}
    assert not hub.label_trust.believed("three").any()
    table = lagotto("audit", hub.folder).out.splitlines()
    assert any("three" in line and "another order" in line for line in table)
    (row,) = [each for each in audit_hub(hub.reader) if each.model == "three"]
    assert row == hub.audit("three")
    assert row.better_order == "shifted by -1"


def test_a_reference_that_comes_later_judges_the_lists_that_are_there(
    trained: Path, tmp_path: Path
) -> None:
    hub = shifted_three(trained, tmp_path / "hub")
    hub.remove("all_eight")
    before = verdicts(hub)
    assert before["three"] != "another order fits"
    hub.add(trained.parent / "models" / "all_eight", reference=True)
    assert verdicts(hub)["three"] == "another order fits"
    hub.remove("all_eight")
    copy = replace(TRAINED["all_nameless"], seed=9, edge=16)
    hub.add(colour_world.write_classifier(tmp_path / "new", copy).parent)
    assert verdicts(hub)["three"] == before["three"]


def test_a_list_of_a_new_model_is_audited_once_and_by_references(
    trained: Path, tmp_path: Path
) -> None:
    hub = copy_of(trained, tmp_path / "hub", None, "all_eight")
    wrong = replace(TRAINED["three"], edge=14, names=("green", "blue", "red"))
    colour_world.write_classifier(tmp_path / "wrong", wrong)
    kept = {each.model: each.audit for each in hub.reader.label_lists()}
    hub.add(tmp_path / "wrong")
    assert verdicts(hub)["wrong"] == "another order fits"
    for each in hub.reader.label_lists():
        assert each.model == "wrong" or each.audit == kept[each.model]


def test_references_judge_no_reference_and_wrong_ones_judge_nothing(
    trained: Path, tmp_path: Path
) -> None:
    both = shifted_three(trained, tmp_path / "both", "all_eight", "three")
    alone = shifted_three(trained, tmp_path / "alone")
    assert verdicts(both) == verdicts(alone)
    assert both.audit("three").verdict == verdicts(alone)["three"]
    permuted = {"all_eight": lambda labels: [labels[i] for i in (3, 0, 6, 1, 7, 2, 4, 5)]}
    unsure = copy_of(trained, tmp_path / "unsure", permuted, "all_eight")
    without = copy_of(trained, tmp_path / "without", permuted)
    assert verdicts(unsure) == verdicts(without)
