"""The doctor's report: true of this installation, of broken ones, and without anything private."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lagotto
from lagotto.core.progress import Silent
from lagotto.diagnosis import caches, doctor, packages, trial
from lagotto.diagnosis.packages import PackageState, group_extras, read_packages, release
from lagotto.diagnosis.privacy import without_user
from lagotto.jobs.sandbox.guards import Guard


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doctor that tries nothing, for tests of the rest."""
    done = trial.TrialResult("search", True, "found", 0.1)
    monkeypatch.setattr(doctor, "try_encoder", lambda: replace(done, what="encoder"))
    monkeypatch.setattr(doctor, "try_search", lambda progress: done)


def test_a_whole_installation_works_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = lagotto.doctor()
    assert [item.what for item in report.trials] == ["encoder", "search"]
    assert all(item.ok for item in report.trials), report.trials
    assert "'fried egg' found the output that knows it" in report.trials[1].found
    assert "CPUExecutionProvider" in report.providers
    assert {guard.what for guard in report.isolation} == {"network", "processes", "files"}
    assert len(report.caches) == 5
    assert list(tmp_path.iterdir()) == []
    assert report.as_json()["ok"] is report.ok
    json.dumps(report.as_json())


def test_a_broken_package_is_a_problem_and_no_traceback() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "import json, lagotto; print(json.dumps(lagotto.doctor().as_json()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert not report["ok"]
    assert [item["ok"] for item in report["trials"]] == [False, False]
    assert len(report["problems"]) == 3  # encoder, search, providers
    assert all("onnxruntime" in problem for problem in report["problems"])


def test_an_encoder_that_does_something_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = json.loads(trial._CANARY.read_text("utf-8"))
    values = np.frombuffer(base64.b64decode(recorded["picture"]), "<f4")
    recorded["picture"] = base64.b64encode(values[::-1].tobytes()).decode()
    file = tmp_path / "canary.json"
    file.write_text(json.dumps(recorded))
    monkeypatch.setattr(trial, "_CANARY", file)
    found = trial.try_encoder()
    assert not found.ok
    assert "the picture tower" in found.found


def test_a_search_that_finds_another_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_PROBES", 40)
    monkeypatch.setattr(trial, "_KNOWS_IT", ("exp_final_v3", 11))
    found = trial.try_search(Silent())
    assert not found.ok
    assert "exp_final_v3:11 knows it" in found.found


def test_old_and_missing_packages_are_problems_and_missing_extras_are_not(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (
        PackageState("numpy", "1.26.4", "2.0", ""),
        PackageState("rich", None, "13.7", ""),
        PackageState("usearch", None, "2.16", "ann"),
        PackageState("numba", "0.60.0", "0.61", "kernel"),
    )
    monkeypatch.setattr(doctor, "read_packages", lambda: found)
    report = lagotto.doctor()
    assert report.problems == (
        "package numpy 1.26.4 is older than 2.0; run: pip install 'numpy>=2.0'",
        "package rich is missing; run: pip install 'rich>=13.7'",
        "package numba 0.60.0 is older than 0.61; run: pip install 'numba>=0.61'",
    )
    assert report.packages is not None
    assert [package.name for package in report.packages] == ["numpy", "rich"]
    pips = {extra.name: extra.pip for extra in report.extras}
    assert pips == {
        "ann": "pip install 'lagotto[ann]'",
        "kernel": "pip install 'lagotto[kernel]'",
    }


def test_what_is_not_installed_as_a_package_is_said(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "DISTRIBUTION", "lagotto-that-nobody-installed")
    report = lagotto.doctor()
    assert report.packages is None
    assert report.ok


def test_packages_are_those_that_the_metadata_name(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2.0",
        "typer (>=0.15,<1)",
        "pillow-heif>=0.18; extra == 'heif'",
        'uvicorn[standard]>=0.30 ; python_version > "3" and extra == "web"',
        "lagotto[heif,web]; extra == 'all'",
        "pytest",
    ]
    monkeypatch.setattr(packages, "requires", lambda name: lines)
    versions = {"numpy": "2.1.0", "uvicorn": "0.29.1", "typer": "0.15.0rc1"}
    monkeypatch.setattr(packages, "installed_version", versions.get)
    found = read_packages()
    assert found == (
        PackageState("numpy", "2.1.0", "2.0", ""),
        PackageState("typer", "0.15.0rc1", "0.15", ""),
        PackageState("pillow-heif", None, "0.18", "heif"),
        PackageState("uvicorn", "0.29.1", "0.30", "web"),
        PackageState("pytest", None, "", ""),
    )
    assert [package.is_old for package in found] == [False, False, False, True, False]
    assert [extra.name for extra in group_extras(found)] == ["heif", "web"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2.9", "2.10"),
        ("2.4", "2.13.0+cpu"),
        ("17", "26.0.1"),
        ("0.2.36", "0.3"),
        ("1.0", "1.1rc1"),
    ],
)
def test_versions_are_compared_as_numbers(older: str, newer: str) -> None:
    assert release(older) < release(newer)
    assert not release(newer) < release(older)


def test_zeros_at_the_end_say_nothing() -> None:
    assert release("2.0.0") == release("2")
    assert not PackageState("numpy", "2", "2.0", "").is_old


def test_nothing_private_is_in_the_report(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "ada.lovelace"
    (home / "cache").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "lovelace7")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HF_HOME", "/scratch/lovelace7/hf")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(home / "cache"))
    monkeypatch.setattr("tempfile.tempdir", "/data/ada.lovelace/tmp")
    guard = Guard("files", "", f"{home}/x is not there")
    monkeypatch.setattr(doctor, "find_guards", lambda: (guard,))
    text = json.dumps(lagotto.doctor().as_json())
    assert "lovelace" not in text
    paths = [cache.path for cache in caches.measure_caches()]
    own = ["~/.cache/lagotto/datasets", "~/.cache/lagotto/hubs"]
    assert paths == ["/scratch/USER/hf/hub", *own, "~/cache", "/data/USER/tmp"]
    assert "~/x is not there" in text


def test_only_whole_names_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "ann")
    assert without_user("/home/ann/x and /home/anna/x") == "~/x and /home/anna/x"
    assert without_user("/mnt/ann: planned") == "/mnt/USER: planned"
    assert without_user("annual /annual/ann.txt") == "annual /annual/ann.txt"
    monkeypatch.setenv("HOME", "/")
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.delenv(name)
    assert without_user("/usr/lib") == "/usr/lib"


def test_caches_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = tmp_path / "hf" / "hub" / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "x").write_bytes(b"1" * 3000)
    snapshot = tmp_path / "hf" / "hub" / "models--a--b" / "snapshots"
    snapshot.mkdir()
    os.symlink(blobs / "x", snapshot / "model.onnx")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "lagotto-guards-1").mkdir()
    (tmp_path / "lagotto-guards-1" / "file").write_bytes(b"12345")
    (tmp_path / "someone-elses").write_bytes(b"1" * 99)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    dataset = tmp_path / "xdg" / "lagotto" / "datasets" / "org--photos@1"
    dataset.mkdir(parents=True)
    with (dataset / "a.parquet").open("wb") as file:
        file.write(b"1" * 9000)
        file.truncate(1 << 30)  # the rest was never fetched
    pack = tmp_path / "xdg" / "lagotto" / "hubs" / "key" / "commit"
    pack.mkdir(parents=True)
    (pack / "hub.json").write_bytes(b"1" * 70)
    downloads, datasets, hubs, _, temporary = caches.measure_caches()
    assert 9000 <= datasets.bytes < 1 << 20
    assert (hubs.what, hubs.bytes) == ("published hubs", 70)
    assert 3000 <= downloads.bytes < 3300  # a link is no second copy
    assert temporary.bytes == 5
