"""Trust in published labels: what each verdict is worth, and which lists are audited when."""

from pathlib import Path

import numpy as np
import pytest

import colour_world
from colour_world import MODELS, World, make_old
from lagotto.hub.hub import Hub
from lagotto.hub.labels.audits import kept
from lagotto.hub.labels.audits.kept import audit_lists
from lagotto.hub.labels.trust import LONG, LabelTrust, trust_levels
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import AuditRecord, LabelListRecord
from lagotto.hub.text.matching import FIRMLY, OPENLY

LABELLED = {name for name, model in MODELS.items() if model.labelled}


class Recorder:
    """A Progress that remembers how many units each stage had."""

    def __init__(self) -> None:
        self.stages: dict[str, int] = {}

    def start(self, stage: str, total: int, unit: str) -> None:
        self.stages[stage] = total

    def advance(self, units: int, note: str = "") -> None:
        """Not looked at."""

    def finish(self) -> None:
        """Not looked at."""


def audits_of(hub: Path) -> dict[str, AuditRecord]:
    return {r.model: r.audit for r in Hub.open(hub).reader.label_lists() if r.audit is not None}


@pytest.mark.parametrize(
    ("audit", "outputs", "levels"),
    [
        (AuditRecord("", "fits"), LONG, [FIRMLY] * LONG),
        (AuditRecord("", "fits", (1, 7, -1)), 3, [FIRMLY, OPENLY, FIRMLY]),
        (AuditRecord("", "cannot be judged"), 2, [OPENLY] * 2),
        (AuditRecord("", "cannot be judged"), LONG, [0] * LONG),
        (AuditRecord("", "another order fits"), 2, [0, 0]),
        (AuditRecord("", "contradicted", (0,)), 2, [0, 0]),
        (AuditRecord("", "wrong count"), 2, [0, 0]),
        (None, LONG - 1, [OPENLY] * (LONG - 1)),
        (None, LONG, [0] * LONG),
    ],
)
def test_a_verdict_says_how_far_labels_are_believed(
    audit: AuditRecord | None, outputs: int, levels: list[float]
) -> None:
    np.testing.assert_array_equal(trust_levels(audit, outputs), levels)


def test_labels_of_a_model_that_is_not_listed_are_not_believed() -> None:
    trust = LabelTrust([LabelListRecord("a", "", "", 2, True, None)])
    assert (trust.level("a", 1), trust.level("gone", 0)) == (OPENLY, 0)
    assert trust.notes == ("1 label list was never audited; run: lagotto audit HUB --all",)


def test_a_reference_teaches_unless_its_list_shows_signs_of_being_wrong() -> None:
    unsure = AuditRecord("", "cannot be judged")
    lists = [
        LabelListRecord("fits", "", "", 3, True, AuditRecord("", "fits", (1,))),
        LabelListRecord("short", "", "", 3, True, unsure),
        LabelListRecord("long", "", "", LONG, True, unsure),
        LabelListRecord("wrong", "", "", 3, True, AuditRecord("", "contradicted")),
        LabelListRecord("nameless", "", "", 3, False, None),
    ]
    plain, trust = LabelTrust(lists), LabelTrust(lists, [record.model for record in lists])
    assert plain.teaching_models == ("fits",)
    assert plain.teaching("fits").tolist() == [True, False, True]
    assert trust.teaching_models == ("fits", "short")
    assert trust.teaching("fits").all()
    long, nameless, short, wrong = trust.doubted_references
    assert "long are not believed: cannot be judged" in long
    assert "short are believed unchecked: cannot be judged" in short
    assert "wrong are not believed: contradicted; see: lagotto audit HUB wrong" in wrong
    assert "nameless" in nameless


def test_lists_are_audited_when_they_are_added_and_only_then(
    world: World, hub_copy: Path, tmp_path: Path
) -> None:
    before = audits_of(hub_copy)
    assert set(before) == LABELLED
    odd = colour_world.Classifier(("red", "black"), seed=50)
    colour_world.write_classifier(tmp_path / "odd", odd)
    recorder = Recorder()
    Hub.open(hub_copy).add([world.models, tmp_path / "odd"], progress=recorder)
    assert recorder.stages["checking labels"] == 1
    after = audits_of(hub_copy)
    assert set(after) == LABELLED | {"odd"}
    assert {name: after[name] for name in before} == before
    again = Recorder()
    Hub.open(hub_copy).add([world.models], progress=again)
    assert "checking labels" not in again.stages


def test_a_verdict_does_not_depend_on_the_runs_in_which_models_came(
    world: World, hub_copy: Path, empty_copy: Path
) -> None:
    """All models are there when `audit_labels` judges them, whatever was added when."""
    names = sorted(MODELS)
    for part in (names[:3], names[3:]):
        Hub.open(empty_copy).add([world.models / name for name in part])
    audits = Hub.open(empty_copy).audit_labels()
    assert [audit.model for audit in audits] == names
    assert audits == Hub.open(hub_copy).audit_labels()
    assert audits_of(empty_copy) == audits_of(hub_copy) == audits_of(world.hub)


def test_a_list_is_audited_again_when_its_labels_change(world: World, hub_copy: Path) -> None:
    hub = Hub.open(hub_copy)
    hub.remove("plain")
    assert set(audits_of(hub_copy)) == LABELLED - {"plain"}
    renamed = colour_world.Classifier(
        ("red", "green", "blue"), seed=1, names=("green", "blue", "red")
    )
    hub.add([colour_world.write_classifier(hub_copy.parent / "plain", renamed).parent])
    assert audits_of(hub_copy)["plain"].key != audits_of(world.hub)["plain"].key


def test_other_rules_of_an_audit_make_all_audits_anew(
    hub_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_AUDIT_VERSION", 99)
    recorder = Recorder()
    with Catalog(hub_copy / "catalogue.sqlite", writable=True) as catalogue:
        audited = audit_lists(Hub.open(hub_copy).reader, catalogue, recorder)
    assert {audit.model for audit in audited} == LABELLED
    assert recorder.stages == {"checking labels": len(LABELLED)}


def test_a_run_that_is_cut_off_keeps_a_hub_that_opens_and_is_gone_on_with(
    hub_copy: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Recorder):
        def advance(self, units: int, note: str = "") -> None:
            self.units = getattr(self, "units", 0) + units
            if self.units == 4:
                raise KeyboardInterrupt

    make_old(hub_copy)
    monkeypatch.setattr(kept, "_BATCH", 2)
    with (
        Catalog(hub_copy / "catalogue.sqlite", writable=True) as catalogue,
        pytest.raises(KeyboardInterrupt),
    ):
        audit_lists(Hub.open(hub_copy).reader, catalogue, Cut())
    assert len(audits_of(hub_copy)) == 2
    hub = Hub.open(hub_copy)
    assert hub.verify() == ()
    assert "4 label lists" in hub.search("red").notes[0]
    recorder = Recorder()
    hub.add([world.models], progress=recorder)
    assert recorder.stages["checking labels"] == 4
    assert audits_of(hub_copy) == audits_of(world.hub)
    assert hub.search("red") == Hub.open(world.hub).search("red")


def test_models_are_added_where_the_encoder_is_gone_and_the_report_says_so(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    away = tmp_path / "encoder"
    hub = Hub.create(tmp_path / "hub", world.pictures, str(colour_world.write_encoder(away)))
    away.rename(tmp_path / "moved")
    hub = Hub.open(hub.folder)
    report = hub.add([world.models / "plain"])
    assert report.done == ("plain",)
    (note,) = report.notes
    assert "not all audited" in note
    assert "lagotto audit HUB --all" in note
    moved = Hub.open(hub.folder, str(tmp_path / "moved"))
    assert "1 label list was never audited" in moved.search("red").notes[0]
    moved.audit_labels()
    assert not any("audit" in note for note in moved.search("red").notes)
