"""`lagotto hub ...`: what each command says, in words and in JSON."""

import shutil
from pathlib import Path

import pytest

from colour_world import MODELS, World
from command_line import lagotto
from lagotto.cli.hub import status as status_command
from lagotto.hub.hub import Hub
from lagotto.hub.reader import status
from lagotto.jobs.sandbox.guards import Guard
from unread_makers import CONTENTS, put


def test_create_add_search_remove_verify(world: World, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    made = lagotto(
        "hub", "create", hub, "--probes", world.pictures, "--encoder", world.encoder,
        "--max-probes", "30", "--seed", "3", "--json",
    )  # fmt: skip
    assert made.code == 0
    keys = ["hub", "probes", "probe_digest", "encoder", "set_aside", "source_count", "datasets"]
    assert list(made.json) == [*keys, "references"]
    count = made.json["source_count"]
    assert (count["taken"], count["seen"]) == (30, len(list(world.pictures.iterdir())))
    assert (made.json["hub"], made.json["probes"]) == (str(hub), 30)
    assert made.json["probe_digest"] == Hub.open(hub).probe_digest
    assert all(list(item) == ["source", "reason"] for item in made.json["set_aside"])
    models = [world.models / name for name in ("plain", "bytes")]
    shutil.copytree(world.models / "plain", tmp_path / "again")
    (tmp_path / "bad.onnx").write_text("no model")
    added = lagotto(
        "hub", "add", hub, *models, tmp_path / "again", tmp_path / "bad.onnx", "--json",
        "--workers", "1", "--timeout", "60", "--memory-gb", "2",
    )  # fmt: skip
    assert (added.code, added.err) == (0, "")
    assert list(added.json) == [
        *("hub", "done", "extended", "failures", "already", "copies", "notes", "files", "not_read"),
    ]
    assert list(added.json["files"]) == ["seen", "models", "facts", "passed_over", "hints"]
    assert added.json["files"]["models"] == 4
    assert added.json["done"] == ["plain", "bytes"]
    assert added.json["copies"] == [["again", "plain"]]
    (failure,) = added.json["failures"]
    assert list(failure) == ["model", "source", "kind", "reason"]
    assert (failure["model"], failure["kind"]) == ("bad", "error")
    assert lagotto("search", hub, "red", "--top", "1", "--json").json["hits"][0]["model"] == "plain"
    gone = lagotto("hub", "remove", hub, "bytes")
    assert (gone.code, gone.out, gone.err) == (0, f"bytes removed from {hub}\n", "")
    verified = lagotto("hub", "verify", hub, "--json").json
    assert verified == {"hub": str(hub), "damaged": [], "leftovers_removed": []}


def test_create_in_words(world: World, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    words = ["--probes", world.pictures, "--encoder", world.encoder, "--max-probes", "72"]
    made = lagotto("hub", "create", hub, *words)
    assert made.out == f"{hub}: 72 probes, encoder encoder\n"
    assert "zz_broken.png: not a picture" in made.err
    assert f"next: lagotto hub add {hub} MODELS\n" in made.err
    assert "--reference" in made.err
    quiet = lagotto("hub", "create", tmp_path / "quiet", *words, "--quiet")
    assert (quiet.err, quiet.code) == ("", 0)


def test_add_in_words(world: World, hub_copy: Path, tmp_path: Path) -> None:
    shutil.copytree(world.models / "plain", tmp_path / "models" / "renamed")
    (tmp_path / "models" / "empty.onnx").write_bytes(b"")
    answer = lagotto("hub", "add", hub_copy, world.models, tmp_path / "models")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == "0 models added, 7 already there, 1 copies, 1 failed"
    assert lines[1] == "  copy: renamed is plain"
    assert lines[2].startswith("  failed: empty: ")
    assert lines[3:] == ["17 files seen: 9 models, 8 that belong to them, none passed over"]


def test_a_copy_of_a_failure_is_a_failure_and_all_failed_is_exit_code_1(
    world: World, tmp_path: Path
) -> None:
    hub = shutil.copytree(world.empty_hub, tmp_path / "hub")
    for name in ("first", "second"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.onnx").write_text("<html>404</html>")
    (tmp_path / "models" / "old.mnn").write_bytes(b"x")
    for _ in range(2):  # they fail again in the same way
        answer = lagotto("hub", "add", hub, tmp_path / "models", "--workers", "1")
        assert answer.code == 1
        lines = answer.out.splitlines()
        assert lines[0] == "0 models added, 0 already there, 0 copies, 2 failed"
        assert lines[2].startswith("  failed: second: a copy of first: ")
        assert lines[3] == "3 files seen: 2 models, 1 passed over (1 .mnn)"
        assert lines[4:] == [
            "1 file not read:",
            "  old.mnn (MNN model) is of MNN, which writes no ONNX; "
            "export the model that it was made from to ONNX",
        ]
        assert answer.err == ""
    status = lagotto("hub", "status", hub, "--json").json
    assert [item["model"] for item in status["failures"]] == ["first", "second"]
    assert status["copies"] == []
    shutil.copytree(world.models / "plain", tmp_path / "models" / "plain")
    report = lagotto("hub", "add", hub, tmp_path / "models", "--workers", "1", "--json")
    assert (report.code, report.json["done"]) == (0, ["plain"])
    assert len(report.json["failures"]) == 2


def test_status_in_json(world: World) -> None:
    answer = lagotto("hub", "status", world.hub, "--json")
    status = answer.json
    assert list(status) == [
        "hub",
        "format_version",
        "encoder",
        "encoder_fingerprint",
        "probes",
        "probe_digest",
        "done",
        "pending",
        "logits",
        "flawed_logits",
        "disk_bytes",
        "completion_skill",
        "low_rank",
        "models",
        "failures",
        "copies",
        "isolation",
        "references",
        "notes",
        "leftovers",
        "words_shown",
        "words",
        "segments",
    ]
    assert status["segments"].keys() == {"count", "bytes", "lost_logits", "missing_models"}
    assert [guard["what"] for guard in status["isolation"]] == ["network", "processes", "files"]
    assert (status["done"], status["pending"], status["probes"]) == (7, 0, 72)
    assert status["logits"] == sum(len(model.colours) for model in MODELS.values())
    on_disk = sum(path.stat().st_size for path in world.hub.rglob("*") if path.is_file())
    assert status["disk_bytes"] == on_disk
    assert [list(model) for model in status["models"]] == [
        [
            "name",
            "source",
            "framework",
            "outputs",
            "logits_source",
            "flawed_logits",
            "notes",
            "probes_seen",
            "searched",
            "why",
            "input",
            "architecture",
            "kind",
            "device",
        ]
    ] * 7


def test_status_in_words(world: World) -> None:
    answer = lagotto("hub", "status", world.hub)
    assert (answer.code, answer.err) == (0, "")
    assert "models    7 done, 0 failed, 0 pending, 0 known copies" in answer.out
    for name, model in MODELS.items():
        (line,) = [line for line in answer.out.splitlines() if line.startswith(f"{name} ")]
        assert line.split()[1:3] == [str(len(model.colours)), "onnx"]


def test_a_large_hub_is_summarized_and_its_rows_are_there_for_the_asking(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_command, "_LISTED", 3)
    summary = lagotto("hub", "status", world.hub).out
    assert "models    7 done" in summary
    assert f"the models: lagotto hub status {world.hub} --models, or --filter NAME" in summary
    assert "symmetric " not in summary
    whole = lagotto("hub", "status", world.hub, "--models").out
    assert all(any(line.startswith(f"{name} ") for line in whole.splitlines()) for name in MODELS)
    some = lagotto("hub", "status", world.hub, "--filter", "SYMM").out
    assert "symmetric " in some
    assert "models  " not in some
    assert "plain " not in some
    assert lagotto("hub", "status", world.hub, "--failed").out == ""
    as_json = lagotto("hub", "status", world.hub, "--json", "--filter", "symm").json
    assert [model["name"] for model in as_json["models"]] == ["symmetric"]
    assert as_json["done"] == 7


def test_compact_merges_and_says_how_much(world: World, hub_copy: Path) -> None:
    before = lagotto("search", hub_copy, "red", "--json").json["hits"]
    lagotto("hub", "remove", hub_copy, "bytes")
    lagotto("hub", "add", hub_copy, world.models, "--quiet")
    answer = lagotto("hub", "compact", hub_copy, "--json").json
    assert list(answer) == ["hub", "segments_before", "segments", "bytes_before", "bytes"]
    assert answer["segments"] == 1 < answer["segments_before"]
    assert "1 segment of " in lagotto("hub", "compact", hub_copy).out
    after = lagotto("search", hub_copy, "red", "--json").json["hits"]
    assert {(h["model"], h["logit"]) for h in after} == {(h["model"], h["logit"]) for h in before}
    assert lagotto("hub", "verify", hub_copy).code == 0


def test_verify_names_the_damage_and_ends_with_1(hub_copy: Path) -> None:
    clean = lagotto("hub", "verify", hub_copy)
    assert (clean.code, clean.err) == (0, "")
    assert clean.out == f"{hub_copy}: every file is as it was written\n"
    file = next((hub_copy / "responses").iterdir())
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    damaged = lagotto("hub", "verify", hub_copy)
    assert (damaged.code, damaged.err) == (1, "")
    assert damaged.out.startswith("damaged: responses of ")
    as_json = lagotto("hub", "verify", hub_copy, "--json")
    assert as_json.code == 1
    (damage,) = as_json.json["damaged"]
    assert list(damage) == ["what", "reason", "remedy"]


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["hub"],
        ["hub", "--help"],
        ["search", "--help"],
        *(
            ["hub", command, "--help"]
            for command in ("create", "add", "status", "remove", "compact", "verify")
        ),
    ],
)
def test_help_is_shown_with_an_example(words: list[str]) -> None:
    answer = lagotto(*words)
    shown = answer.out + answer.err
    assert answer.code == (0 if "--help" in words else 2)
    assert "Usage: " in shown
    if words and words[-1] == "--help" and words not in (["--help"], ["hub", "--help"]):
        assert "Example: lagotto" in shown


def test_the_version() -> None:
    import lagotto as package

    answer = lagotto("--version")
    assert (answer.code, answer.out) == (0, f"lagotto {package.__version__}\n")


def test_inspect_tells_where_each_part_is_from_and_adds_nothing(
    world: World, tmp_path: Path
) -> None:
    shutil.copytree(world.models / "opencv", tmp_path / "models" / "opencv")
    shutil.copytree(world.models / "bytes", tmp_path / "models" / "bytes")
    (tmp_path / "models" / "bytes" / "model.json").unlink()
    (tmp_path / "models" / "bad\x1b[31m.onnx").write_text("no model")
    put(tmp_path / "models", {"old.pkl": CONTENTS["fastai"], "notes.md": b"x"})
    words = ("hub", "add", world.empty_hub, tmp_path / "models", "--inspect", "--workers", "1")
    told = lagotto(*words, "--json")
    assert (told.code, told.err) == (0, "")
    assert list(told.json) == ["hub", "models", "not_read", "files"]
    (unread,) = told.json["not_read"]
    assert (Path(unread["file"]).name, unread["format"]) == ("old.pkl", "fastai learner")
    assert told.json["files"]["passed_over"] == {".md": 1, ".pkl": 1}
    bad, plain, opencv = told.json["models"]
    assert list(plain) == [
        *("model", "source", "framework", "outputs", "output", "logits_source"),
        *("labels", "input", "notes", "failure", "facts"),
        *("format", "bytes", "architecture", "kind", "dtype", "label_names"),
    ]
    facts = {fact["fact"]: fact for fact in opencv["facts"]}
    assert list(facts) == [
        *("name", "size", "layout", "channels", "scale", "mean", "std", "resize"),
        *("output", "labels", "format", "architecture", "kind", "dtype"),
    ]
    assert bad["facts"] == []
    assert facts["channels"]["origin"] == "model.json"
    assert facts["labels"]["origin"] == "model.json"
    assert "not an ONNX file" in bad["failure"]
    parts = {part["field"]: part for part in opencv["input"]}
    assert list(parts) == ["size", "layout", "channels", "scale", "resize"]
    assert list(parts["scale"]) == ["field", "value", "origin", "margin", "runner_up", "reason"]
    assert (parts["channels"]["value"], parts["channels"]["origin"]) == ("BGR", "model.json")
    tried = {part["field"]: part for part in plain["input"]}
    assert (tried["scale"]["value"], tried["scale"]["origin"]) == ("0..255", "file")
    assert tried["channels"]["runner_up"] == "BGR"
    shown = lagotto(*words)
    assert shown.out.splitlines()[0].split() == [
        *("model", "outputs", "input", "value", "from", "margin", "runner-up"),
    ]
    assert "failed: bad[31m: not an ONNX file" in shown.out
    assert "1 file not read:\n  old.pkl (fastai learner) is a pickle" in shown.out
    assert "2 passed over (1 .md, 1 .pkl)" in shown.out
    assert "\x1b" not in shown.out
    assert lagotto("hub", "status", world.empty_hub, "--json").json["done"] == 0


def test_status_says_what_models_are_not_kept_from(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (
        Guard("network", "", "seccomp: refused; network namespace: refused"),
        Guard("processes", "", "seccomp: refused"),
        Guard("files", "landlock", ""),
    )
    monkeypatch.setattr(status, "find_guards", lambda: found)
    lines = lagotto("hub", "status", world.hub).out.splitlines()
    assert "isolation models run cut off from: files (landlock)" in lines
    (note,) = [line for line in lines if "not keep models from the network" in line]
    assert "namespace: refused" in note
    assert "docs/explanation/security.md" in note
    monkeypatch.setattr(status, "find_guards", lambda: (found[0],))
    assert "cut off from: nothing" in lagotto("hub", "status", world.hub).out
