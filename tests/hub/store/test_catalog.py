"""The catalogue: listing, resuming, copies, names, transactions that survive a kill, the lock."""

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lagotto.core.errors import HubError, UsageError
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.records import (
    Copy,
    Listing,
    ModelFacts,
    Plan,
)

A, B, C = ("aa" * 32, "bb" * 32, "cc" * 32)
FACTS = ModelFacts(
    framework="onnx",
    outputs=3,
    output="softmax",
    logits_source="cut",
    input={"layout": "NHWC", "mean": [0.5]},
    notes=("read before the softmax",),
    labels=("cat", "dog", "fox"),
    invalid=("", "constant", ""),
    responses_sha256="12" * 32,
)


def listing(digest: str, name: str, folder: str = "/models") -> Listing:
    return Listing(digest, name, f"{folder}/{name}.onnx")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.sqlite"


def names(plan: Plan) -> list[str]:
    return [model.name for model in plan.pending]


def test_models_keep_the_order_of_listing(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        plan = catalogue.plan([listing(B, "b"), listing(A, "a")])
        assert names(plan) == ["b", "a"]
        catalogue.record_done(A, FACTS)
        catalogue.record_done(B, replace(FACTS, labels=None))
        catalogue.plan([listing(C, "c"), listing(A, "a")])
        models = catalogue.models()
        assert [(m.name, m.position, m.status) for m in models] == [
            ("b", 0, "done"),
            ("a", 1, "done"),
            ("c", 2, "pending"),
        ]
        assert [m.name for m in catalogue.models("done")] == ["b", "a"]
        assert catalogue.logit_labels(A) == ("cat", "dog", "fox")
        assert catalogue.logit_labels(B) == (None, None, None)
        assert [logit.invalid for logit in catalogue.logits(A)] == ["", "constant", ""]
        found = catalogue.find("a")
    assert (found.input, found.notes, found.outputs) == (FACTS.input, FACTS.notes, 3)
    assert found.responses_sha256 == FACTS.responses_sha256
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_done_models_are_not_pending_again(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([listing(A, "a"), listing(B, "b")])
        catalogue.record_done(A, FACTS)
        plan = catalogue.plan([listing(A, "a"), listing(B, "b"), listing(A, "a")])
    assert (names(plan), plan.already, plan.copies) == (["b"], 1, ())


def test_failed_models_are_tried_again_in_their_place(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([listing(A, "a"), listing(B, "b")])
        catalogue.record_failure(A, "timeout", "no answer in 5 s")
        catalogue.record_done(B, FACTS)
        (failure,) = catalogue.failures()
        assert (failure.name, failure.kind, failure.reason) == ("a", "timeout", "no answer in 5 s")
        plan = catalogue.plan([listing(A, "a", "/moved")])
        assert names(plan) == ["a"]
        assert plan.pending[0].source == "/moved/a.onnx"
        assert catalogue.failures() == ()
        catalogue.record_done(A, FACTS)
        assert [model.name for model in catalogue.models("done")] == ["a", "b"]


def test_a_repaired_model_takes_the_place_of_its_failure(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([listing(A, "a")])
        catalogue.record_failure(A, "error", "damaged")
        assert names(catalogue.plan([listing(B, "a")])) == ["a"]
        assert catalogue.failures() == ()
        assert [(model.digest, model.name) for model in catalogue.models()] == [(B, "a")]


def test_an_altered_text_is_a_damage(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([listing(A, "a")])
        catalogue.record_done(A, FACTS)
        assert catalogue.damages() == ()
        catalogue.run("UPDATE logits SET label = 'cab' WHERE label = 'cat'")
        assert catalogue.damages() == ("the record of a was altered",)


def test_a_name_that_is_no_text_is_no_model(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        assert not catalogue.has("\udcff")
        with pytest.raises(UsageError, match="no model"):
            catalogue.find("\udcff")


def test_a_known_digest_elsewhere_is_a_copy(path: Path) -> None:
    both = [listing(A, "a"), listing(A, "renamed")]
    copy = Copy(A, "renamed", "/models/renamed.onnx", "a")
    with Catalog(path, writable=True) as catalogue:
        plan = catalogue.plan(both)
        assert (names(plan), plan.copies) == (["a"], (copy,))
        again = catalogue.plan(both)
        assert (names(again), again.copies) == (["a"], (copy,))
        catalogue.record_done(A, FACTS)
        last = catalogue.plan(both)
        assert (last.pending, last.already, last.copies) == ((), 1, (copy,))
        assert catalogue.copies() == (copy,)
        assert catalogue.find("renamed").name == "a"


def test_a_taken_name_gets_the_digest(path: Path) -> None:
    listings = [listing(A, "m"), Listing(B, "m", "/other/m.onnx")]
    with Catalog(path, writable=True) as catalogue:
        assert names(catalogue.plan(listings)) == ["m", "m~bbbbbbbb"]
        again = catalogue.plan(listings)
        assert (names(again), again.copies) == (["m", "m~bbbbbbbb"], ())
        catalogue.record_done(A, FACTS)
        catalogue.record_done(B, FACTS)
        last = catalogue.plan(listings)
        assert (last.pending, last.already, last.copies) == ((), 2, ())
        elsewhere = Copy(A, "m", "/third/m.onnx", "m")
        assert catalogue.plan([Listing(A, "m", "/third/m.onnx")]).copies == (elsewhere,)


def test_remove_forgets_everything_of_a_model(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([listing(A, "a"), listing(A, "twin"), listing(B, "b")])
        catalogue.record_done(A, FACTS)
        catalogue.record_done(B, FACTS)
        with pytest.raises(UsageError, match="remove 'a'"):
            catalogue.remove("twin")
        assert catalogue.remove("a").digest == A
        assert [model.name for model in catalogue.models()] == ["b"]
        assert (catalogue.logits(A), catalogue.copies()) == ((), ())
        assert len(catalogue.logits(B)) == 3
        assert catalogue.damages() == ()


def test_an_unknown_name_is_answered_with_the_nearest(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([listing(A, "beagle-net")])
        with pytest.raises(UsageError, match="Did you mean 'beagle-net'"):
            catalogue.find("beagel-net")


def test_an_unlisted_model_cannot_be_recorded(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue, pytest.raises(HubError, match="no model"):
        catalogue.record_done(A, FACTS)


def test_runs_are_kept(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        first = catalogue.start_run({"models": ["x"]}, "2026-01-01T00:00:00Z")
        second = catalogue.start_run({"models": []}, "2026-01-02T00:00:00Z")
        catalogue.finish_run(second, "2026-01-02T00:01:00Z", 3, 1, 2)
        cut_off, finished = catalogue.runs()
    assert (cut_off.id, cut_off.finished, cut_off.command) == (first, None, {"models": ["x"]})
    assert (finished.done, finished.failed, finished.skipped) == (3, 1, 2)


def test_readers_cannot_write(path: Path) -> None:
    Catalog(path, writable=True).close()
    with Catalog(path) as catalogue:
        assert catalogue.models() == ()
        with pytest.raises(HubError, match="readonly"):
            catalogue.plan([listing(A, "a")])


def test_a_failed_write_leaves_nothing(path: Path) -> None:
    with Catalog(path, writable=True) as catalogue:
        catalogue.plan([listing(A, "a")])
        before = catalogue.models()
        with pytest.raises(ValueError):
            catalogue.record_done(A, replace(FACTS, invalid=("",)))
        assert (catalogue.models(), catalogue.logits(A)) == (before, ())


def test_wrong_files_are_named(path: Path) -> None:
    with pytest.raises(HubError, match=r"has no catalogue\.sqlite"):
        Catalog(path)
    path.write_bytes(b"")
    with pytest.raises(HubError, match="is empty"):
        Catalog(path)
    path.write_bytes(b"not a database, but long enough to be looked at " * 30)
    with pytest.raises(HubError, match="not a database"):
        Catalog(path)


def test_a_newer_version_is_refused(path: Path) -> None:
    Catalog(path, writable=True).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 4")
    connection.close()
    for writable in (False, True):
        with pytest.raises(HubError, match="version 4 and this Lagotto reads up to 3"):
            Catalog(path, writable)


KILLED = """
import os, signal, sys
from pathlib import Path
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import Listing
catalogue = Catalog(Path(sys.argv[1]), writable=True)
catalogue.plan([Listing("aa" * 32, "a", "/a")])
with catalogue.transaction():
    catalogue.run("PRAGMA cache_spill = 1")
    catalogue.run("PRAGMA cache_size = 1")
    for n in range(5000):
        catalogue.run("INSERT INTO runs (command, started) VALUES (?, ?)", ("x" * 100, "now"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_within_a_transaction_is_rolled_back(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    journal = path.with_name(path.name + "-journal")
    assert journal.exists()  # the kill came when the file had been written to
    with Catalog(path, writable=True) as catalogue:
        assert [model.name for model in catalogue.models()] == ["a"]
        assert catalogue.runs() == ()
        assert catalogue.damages() == ()
    assert not journal.exists()


HOLDING = """
import sys, time
from pathlib import Path
from lagotto.hub.store.lock import hub_lock
with hub_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HubError, match="another process is writing"), hub_lock(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    for _ in range(2):
        with hub_lock(tmp_path):
            pass


KILLED_IN_A_TRANSACTION = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 2")  # so that pages reach the file before the commit
connection.execute("BEGIN IMMEDIATE")
for number in range(2000):
    row = (number + 10, f"{number:064x}", f"m{number}", "pending", "x" * 500)
    connection.execute(
        "INSERT INTO models (position, digest, name, status, source) VALUES (?, ?, ?, ?, ?)", row
    )
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_undone_by_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    Catalog(path, writable=True).close()
    whole = path.read_bytes()
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_TRANSACTION, str(path)], check=False, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() != whole
    assert path.with_name("catalogue.sqlite-journal").exists()
    with Catalog(path) as catalogue:
        assert catalogue.models() == ()
    assert path.read_bytes() == whole


def test_a_model_that_goes_while_records_are_checked_is_no_damage(
    hub_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Catalog(hub_copy / "catalogue.sqlite", writable=True) as catalogue:
        digest_of = Catalog.record_digest

        def removed_meanwhile(self: Catalog, digest: str) -> str:
            if self.models("done") and self.models("done")[0].digest == digest:
                self.remove(self.models("done")[0].name)
            return digest_of(self, digest)

        monkeypatch.setattr(Catalog, "record_digest", removed_meanwhile)
        assert catalogue.damages() == ()
