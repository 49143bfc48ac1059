"""The catalogue's table of audits: kept, checked, dropped with what was audited; old files."""

from dataclasses import replace
from pathlib import Path

import pytest

from lagotto.core.errors import UsageError
from lagotto.hub.store.audits import audit_damages, read_label_lists, record_audits
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import AuditRecord, Listing, ModelFacts
from older_catalogue import make_older

A, B = "aa" * 32, "bb" * 32
FACTS = ModelFacts("onnx", 3, "logits", "raw", {}, (), ("cat", "dog", "fox"), ("",) * 3, "12" * 32)
AUDIT = AuditRecord("34" * 32, "fits", (0, 2))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue of a labelled model "a" and of "b", which publishes no labels."""
    path = tmp_path / "catalogue.sqlite"
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([Listing(A, "a", "/a.onnx"), Listing(B, "b", "/b.onnx")])
        catalogue.record_done(A, FACTS)
        catalogue.record_done(B, replace(FACTS, labels=None))
    return path


def make_version_1(path: Path) -> None:
    make_older(path, 1)


def test_audits_are_read_as_they_were_kept(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        first, second = read_label_lists(catalogue)
        assert (first.model, first.digest, first.labelled, first.audit) == ("a", A, True, None)
        assert (second.model, second.outputs, second.labelled) == ("b", 3, False)
        record_audits(catalogue, {"a": AUDIT})
        assert [record.audit for record in read_label_lists(catalogue)] == [AUDIT, None]
        other = AuditRecord("56" * 32, "contradicted")
        record_audits(catalogue, {"a": other})
        assert read_label_lists(catalogue)[0].audit == other
        assert catalogue.damages() == audit_damages(catalogue) == ()


def test_all_audits_of_a_call_are_kept_or_none(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        with pytest.raises(UsageError, match="no model 'c'"):
            record_audits(catalogue, {"a": AUDIT, "c": AUDIT})
        assert read_label_lists(catalogue)[0].audit is None


@pytest.mark.parametrize("change", ["more probes", "probed again", "lost", "removed"])
def test_an_audit_goes_with_what_was_audited(path: Path, change: str) -> None:
    with Catalog(path, writable=True) as catalogue:
        record_audits(catalogue, {"a": AUDIT, "b": AUDIT})
        if change == "more probes":
            catalogue.record_extended(A, ("",) * 3, "78" * 32)
        elif change == "removed":
            catalogue.remove("a")
        else:
            catalogue.record_lost(A)
        if change == "probed again":
            catalogue.record_done(A, FACTS)
        audits = {record.model: record.audit for record in read_label_lists(catalogue)}
        assert audits.pop("a", None) is None
        assert audits == {"b": AUDIT}
        assert catalogue.run("SELECT model FROM audits") == [(1,)]


@pytest.mark.parametrize(
    "change", ["verdict = 'contradicted'", "misplaced = '[1]'", "key = 'other'"]
)
def test_an_altered_audit_is_a_damage(path: Path, change: str) -> None:
    with Catalog(path, writable=True) as catalogue:
        record_audits(catalogue, {"a": AUDIT})
        catalogue.run(f"UPDATE audits SET {change}")
        assert audit_damages(catalogue) == ("the audit of a was altered",)


def test_an_audit_that_cannot_be_read_is_none(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        record_audits(catalogue, {"a": AUDIT})
        for text in ("", "3", '["x"]'):
            catalogue.run("UPDATE audits SET misplaced = ?", (text,))
            assert read_label_lists(catalogue)[0].audit is None


def test_a_catalogue_of_version_1_is_read_and_gets_the_table_when_it_is_written(path: Path) -> None:
    make_version_1(path)
    before = path.read_bytes()
    with Catalog(path) as catalogue:
        assert catalogue.format_version() == 1
        assert [record.audit for record in read_label_lists(catalogue)] == [None, None]
        assert catalogue.damages() == audit_damages(catalogue) == ()
    assert path.read_bytes() == before
    with Catalog(path, writable=True) as catalogue:
        assert catalogue.format_version() == 3
        record_audits(catalogue, {"a": AUDIT})
    with Catalog(path) as catalogue:
        assert [record.audit for record in read_label_lists(catalogue)] == [AUDIT, None]
        assert catalogue.logit_labels(A) == FACTS.labels
