"""The documentation is what the code does: examples run, references and tables are up to date."""

import importlib.util
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import lagotto
from lagotto.cli.main import app
from lagotto.demo import bundled

ROOT = Path(__file__).resolve().parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODELS = ("exp_final_v3", "old_laptop_copy", "unknown_origin")
ORDER = (
    *("hub create", "hub add", "hub status", "search", "describe", "audit", "duplicates"),
    *("hub index", "eval retrieval", "eval paper"),
    *("hub verify", "hub remove", "demo"),
    *("captions create", "captions add", "captions search", "captions status"),
    *("classify", "eval classification", "eval probing"),
)


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    """scripts/make_docs.py."""
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the examples name: photos, an encoder, models."""
    folder = tmp_path_factory.mktemp("workplace")
    photos = folder / "photos"
    photos.mkdir()
    for picture in bundled.read_heldout()[:60]:
        (photos / picture.name).write_bytes(picture.data)
    lines = [
        json.dumps({"image": picture.name, "caption": f"a photo of a {picture.label}"})
        for picture in bundled.read_heldout()[:60]
    ]
    (photos / "captions.jsonl").write_text("\n".join(lines))
    (folder / "more-captions.txt").write_text("a dog in the snow\na cat on a chair\n")
    for picture in bundled.read_heldout()[:20]:
        labelled = folder / "labelled" / picture.label
        labelled.mkdir(parents=True, exist_ok=True)
        (labelled / picture.name).write_bytes(picture.data)
    for number, picture in enumerate(bundled.read_heldout()[:2], start=1):
        (folder / f"dog{number}.jpg").write_bytes(picture.data)
    for name in ("clip-onnx", "clip-vit-base-patch32-onnx"):
        shutil.copytree(bundled.DEMO_ENCODER, folder / name)
    for name in MODELS:
        shutil.copytree(bundled.MODELS / name, folder / "models" / name)
    return folder


def run(words: list[str]) -> str:
    """Runs a command line as a user would; its stdout."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, (words, result.output)
    return result.stdout


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its path."""
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield " ".join(path), command


def test_every_command_has_an_example_that_runs(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    examples = {}
    for path, command in commands(typer.main.get_command(app)):
        match = re.search(r"Example: lagotto (.+)", command.help or "")
        assert match, f"the help of `lagotto {path}` has no example"
        assert match[1].startswith(path)
        examples[path] = shlex.split(match[1])
    known = [path for path in ORDER if path in examples]
    for path in [*known, *(path for path in examples if path not in ORDER)]:
        run(examples[path])


def test_readme_commands_and_python_run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = workplace / "readme"
    place.mkdir()
    for each in workplace.iterdir():
        if each.name not in ("my-hub", "my-captions", "lagotto-demo", "readme"):
            (place / each.name).symlink_to(each)
    monkeypatch.chdir(place)
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
    ran = 0
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["lagotto"] and words[1] != "demo":
            run(words[1:])
            ran += 1
    assert ran >= 4
    python = [block for kind, block in blocks if kind == "python"]
    assert python
    for block in python:
        exec(compile(block, "README.md", "exec"), {})


def test_commands_of_pages_run(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "models").symlink_to(workplace / "models")
    monkeypatch.chdir(tmp_path)
    lagotto.Hub.create("my-hub", bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=220)
    for page in ("collaborative.md", "low_rank.md"):
        text = (ROOT / "docs" / page).read_text()
        blocks = re.findall(r"^```\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.splitlines()]
        assert len(lines) >= 3
        for line in lines:
            if line.startswith("lagotto eval probing"):
                run(["hub", "add", "my-hub", "models/", "--probes-per-model", "220"])
            run(shlex.split(line)[1:])
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")


def test_python_in_docs_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    hub = lagotto.Hub.create("lagotto-demo/hub", bundled.PROBES, str(bundled.DEMO_ENCODER))
    hub.add([bundled.MODELS / name for name in MODELS])
    pictures = tmp_path / "lagotto-demo" / "pictures"
    pictures.mkdir()
    for picture in bundled.read_heldout():
        (pictures / picture.name).write_bytes(picture.data)
    bare = tmp_path / "lagotto-demo" / "bare"
    bare.mkdir()
    shutil.copyfile(bundled.MODELS / MODELS[0] / "model.onnx", bare / "untitled.onnx")
    for page, said, printed in (
        ("search.md", "", "Hit(rank=1"),
        ("naming.md", "", ""),
        ("models.md", "", "untitled scale 0..255"),
        ("evaluation.md", "hub_table", "Estimate(value="),
        ("collaborative.md", "", "exp_final_v3 640 all"),
        ("low_rank.md", "", "24 fresh True\nTrue True\n"),
    ):
        text = (ROOT / "docs" / page).read_text()
        blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
        blocks = [block for block in blocks if said in block]
        assert blocks
        for block in blocks:
            exec(compile(block, page, "exec"), {})
        assert printed in capsys.readouterr().out


def test_python_in_the_tutorial_of_specialists_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    hub = lagotto.Hub.create("my-hub", bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=200)
    hub.add([bundled.MODELS / name for name in MODELS])
    (tmp_path / "clip-onnx").symlink_to(bundled.DEMO_ENCODER)
    (tmp_path / "photos").mkdir()
    taught = bundled.read_classes()["old_laptop_copy"]
    for picture in bundled.read_heldout():
        if picture.label in taught:
            (tmp_path / "photos" / picture.name).write_bytes(picture.data)
    text = (ROOT / "docs" / "specialists.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(block, "specialists.md", "exec"), {})
    assert "old_laptop_copy knows 14 labels" in capsys.readouterr().out


def test_command_reference_is_up_to_date(make_docs: ModuleType) -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == make_docs.cli_reference(), "run make docs"


def test_result_tables_are_up_to_date(make_docs: ModuleType) -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    assert make_docs.fill_tables(text) == text, "run make docs"
    assert set(re.findall(r"<!-- table (\w+) -->", text)) == set(make_docs.TABLES)


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"
