"""The documentation is what the code does: examples run, references and tables are up to date."""

import importlib.util
import os
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import lagotto
from docs_workplace import MODELS, make_workplace
from lagotto.cli.main import app
from lagotto.core import errors as core_errors
from lagotto.demo import bundled
from trace_walk import files_walked, longest_chain

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
NOTES = sorted((ROOT / "benchmarks" / "notes").glob("*.md"))
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES, *NOTES]
ORDER = (
    *("hub create", "hub add", "hub status", "search", "describe", "audit", "duplicates"),
    *("hub index", "eval retrieval", "eval paper"),
    *("hub verify", "hub remove", "demo"),
    *("captions create", "captions add", "captions search", "captions status"),
    *("captions verify", "captions repair"),
    *("classify", "eval classification", "eval probing"),
)
SERVERS = ("serve", "hub push")
"""Commands that run until they are stopped, or need a network; other tests run them."""


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
    return make_workplace(tmp_path_factory.mktemp("workplace"))


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


def examples_of_commands() -> dict[str, list[str]]:
    """The words of the example in the help of every command, by its path."""
    examples = {}
    for path, command in commands(typer.main.get_command(app)):
        match = re.search(r"Example: lagotto (.+)", command.help or "")
        assert match, f"the help of `lagotto {path}` has no example"
        assert match[1].startswith(path)
        examples[path] = shlex.split(match[1])
    return examples


def test_every_command_has_an_example() -> None:
    assert len(examples_of_commands()) > len(ORDER)


@pytest.mark.thorough
@pytest.mark.workers
def test_every_example_runs(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    examples = examples_of_commands()
    known = [path for path in ORDER if path in examples]
    for path in [*known, *(path for path in examples if path not in ORDER)]:
        if path == "hub merge":
            for part in "12":
                words = ["--shard", f"{part}/2", "--out", f"part{part}"]
                run(["hub", "add", "my-hub", "models", *words])
        if path == "hub import":
            Path("my-hub.tar").rename("their-hub.tar")
        if path not in SERVERS:
            run(examples[path])


@pytest.mark.thorough
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


@pytest.fixture(scope="module")
def demo_world(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of a reader: what `lagotto demo` leaves, but smaller, and own data."""
    folder = tmp_path_factory.mktemp("reader")
    for path in workplace.iterdir():
        if path.name not in ("my-hub", "my-captions", "lagotto-demo", "readme"):
            (folder / path.name).symlink_to(path)
    demo, encoder = folder / "lagotto-demo", str(bundled.DEMO_ENCODER)
    hub = lagotto.Hub.create(demo / "hub", bundled.PROBES, encoder, max_probes=200)
    hub.add([bundled.MODELS / name for name in (*MODELS, "q_v2")])
    (demo / "pictures").mkdir()
    for picture in bundled.read_heldout()[:150]:
        (demo / "pictures" / picture.name).write_bytes(picture.data)
    lagotto.CaptionStore.create(demo / "captions", [folder / "photos"], encoder)
    return folder


@pytest.fixture
def demo_folder(demo_world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, entered."""
    monkeypatch.chdir(demo_world)
    return demo_world


def plain_blocks(page: str) -> list[str]:
    """The command lines of a page that can be run as they are: fences without a language."""
    text = (ROOT / "docs" / page).read_text()
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for language, block in fences if not language for line in block.splitlines()]
    return [line for line in lines if line.startswith("lagotto ")]


def python_blocks(page: str) -> list[str]:
    """The Python of a page."""
    text = (ROOT / "docs" / page).read_text()
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.thorough
def test_commands_of_pages_run(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "models").symlink_to(workplace / "models")
    shutil.copyfile(bundled.MODELS / "q_v2" / "model.onnx", tmp_path / "new_model.onnx")
    monkeypatch.chdir(tmp_path)
    lagotto.Hub.create("my-hub", bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=220)
    for page in ("explanation/completion.md", "how-to/large-hubs.md", "how-to/audit-labels.md"):
        lines = plain_blocks(page)
        assert len(lines) >= 3
        for line in lines:
            if line.startswith("lagotto eval probing"):
                run(["hub", "add", "my-hub", "models/", "--probes-per-model", "220"])
            run(shlex.split(line)[1:])
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.thorough
@pytest.mark.xdist_group("reader")
@pytest.mark.usefixtures("demo_folder")
def test_tutorials_run_from_the_first_command_to_the_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for page in ("tutorials/first-search.md", "tutorials/first-classification.md"):
        lines = plain_blocks(page)
        assert len(lines) >= 8
        for line in lines:
            run(shlex.split(os.path.expandvars(line))[1:])
        for block in python_blocks(page):
            exec(compile(block, page, "exec"), {})
        assert capsys.readouterr().out
    assert Path("violin.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.thorough
@pytest.mark.workers
def test_commands_of_the_sandbox_page_run(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").symlink_to(workplace / "models")
    shutil.copytree(bundled.MODELS / "q_v2", tmp_path / "resnet50")  # stands for any labelled one
    monkeypatch.chdir(tmp_path)
    lagotto.Hub.create("my-hub", bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=40)
    for page in ("how-to/sandbox.md", "how-to/add-models.md", "how-to/inspect.md"):
        for line in plain_blocks(page):
            run(shlex.split(line)[1:])
    (block,) = python_blocks("reference/errors.md")
    exec(compile(block, "errors.md", "exec"), {})


@pytest.mark.thorough
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
    for name in MODELS[:2]:
        shutil.copytree(bundled.MODELS / name, tmp_path / "models" / name)
    for page, said, printed in (
        ("explanation/search.md", "", "Hit(rank=1"),
        ("how-to/audit-labels.md", "", ""),
        ("how-to/add-models.md", "", "untitled scale 0..255"),
        ("how-to/evaluate.md", "hub_table", "Estimate(value="),
        ("explanation/completion.md", "", "exp_final_v3 640 all"),
        ("how-to/large-hubs.md", "", "24 fresh True\nTrue True\n"),
        ("how-to/shards.md", "", "True ()\n"),
        ("explanation/million-models.md", "", "57000000 2850000000 True\n"),
    ):
        blocks = [block for block in python_blocks(page) if said in block]
        assert blocks
        for block in blocks:
            exec(compile(block, page, "exec"), {})
        assert printed in capsys.readouterr().out


@pytest.mark.thorough
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
    (block,) = python_blocks("explanation/specialists.md")
    exec(compile(block, "specialists.md", "exec"), {})
    assert "old_laptop_copy knows 14 labels" in capsys.readouterr().out


def test_generated_references_are_up_to_date(make_docs: ModuleType) -> None:
    reference = ROOT / "docs" / "reference"
    assert (reference / "cli.md").read_text() == make_docs.cli_reference(), "run make docs"
    assert (reference / "python.md").read_text() == make_docs.python_reference(), "run make docs"
    architectures = (reference / "architectures.md").read_text()
    assert architectures == make_docs.architectures_reference(), "run make docs"
    model_files = (reference / "model-files.md").read_text()
    assert model_files == make_docs.model_files_page(), "run make docs"


def test_every_public_name_is_in_the_python_reference() -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text()
    shown = re.findall(r"^::: lagotto\.(\w+)$", text, flags=re.MULTILINE)
    assert sorted(shown) == sorted(name for name in lagotto.__all__ if name != "__version__")


def test_result_tables_are_up_to_date(make_docs: ModuleType) -> None:
    names = []
    for page in make_docs.pages_with_tables():
        text = page.read_text()
        assert make_docs.fill_tables(text) == text, f"{page.name}: run make docs"
        names += re.findall(r"<!-- table (\w+) -->", text)
    assert sorted(names) == sorted(make_docs.TABLES)


def test_results_are_one_page_of_some_dozen_rows() -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    assert 12 <= len(re.findall(r"^\| \d+ \|", text, flags=re.MULTILINE)) < 16
    assert len(text.splitlines()) < 80
    assert all(f"`{note.name}`" in text for note in NOTES)


def anchors(document: Path) -> set[str]:
    """What a link into a page may name: its headings, as both mkdocs and GitHub write them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles)
    return {re.sub(r"[\s]+", "-", each) for each in words}


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCS:
        for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
            if target.startswith("http"):
                continue
            path, _, anchor = target.partition("#")
            page = document.parent / path if path else document
            assert page.exists(), f"{document.name}: {target}"
            assert not anchor or anchor in anchors(page), f"{document.name}: {target}"


def test_pages_that_the_code_names_exist() -> None:
    for file in [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "src").rglob("*.md"))]:
        for name in re.findall(r"docs/[\w/-]+\.md", file.read_text()):
            assert (ROOT / name).exists(), f"{file.relative_to(ROOT)}: {name}"


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in PAGES:
        assert f" {page.relative_to(ROOT / 'docs').as_posix()}\n" in menu


def test_every_row_of_my_files_is_held_by_a_test() -> None:
    text = (ROOT / "docs" / "how-to" / "my-files.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [line for line in rows if not line.startswith("| what you have")]
    assert rows
    for row in rows:
        named = re.search(r"<!-- (tests/\S+\.py)::(\w+)(?:\[.+\])? --> \|$", row)
        assert named, f"no test is named: {row}"
        assert re.search(rf"^def {named[2]}\(", (ROOT / named[1]).read_text(), re.MULTILINE), row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_lists_are_lists_to_mkdocs_too(page: Path) -> None:
    """It wants a blank line before a list, and four spaces in front of what belongs to an item."""
    before, fenced = "", False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fenced ^= line.lstrip().startswith("```")
        item = re.match(r"( *)([-*]|\d+\.) ", line)
        if item and not fenced:
            goes_on = before.startswith(" ") or re.match(r"([-*]|\d+\.) ", before)
            assert not before or goes_on, f"{page.name}:{number}"
            assert len(item[1]) % 4 == 0, f"{page.name}:{number}"
        before = line


def test_errors_and_words_are_explained() -> None:
    errors = (ROOT / "docs" / "reference" / "errors.md").read_text()
    for name, value in vars(core_errors).items():
        if isinstance(value, type) and issubclass(value, lagotto.LagottoError):
            assert f"| `{name}` |" in errors
    glossary = (ROOT / "docs" / "reference" / "glossary.md").read_text()
    terms = re.findall(r"^## (.+)$", glossary, flags=re.MULTILINE)
    assert len(terms) >= 40
    assert terms == sorted(terms, key=str.lower)
    assert f"{len(terms)} terms" in glossary


def test_a_missing_mkdocs_is_one_line(
    make_docs: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_docs, "find_spec", lambda name: None)
    assert make_docs.build_site() == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install --group docs" in said


def walk(title: str) -> list[str]:
    """The files of a walk in docs/explanation/architecture.md."""
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    section = re.search(rf"^## The walk of a {title}$(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert section, title
    return re.findall(r"^\d+\. `([\w/]+\.py)`", section[1], flags=re.MULTILINE)


@pytest.mark.parametrize("title", ["text query", "probe picture", "classification"])
def test_walks_name_files_that_exist(title: str) -> None:
    files = walk(title)
    assert len(files) >= 10
    for name in files:
        assert (ROOT / "src" / "lagotto" / name).exists(), name


def test_every_room_is_on_the_map() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    package = ROOT / "src" / "lagotto"
    for init in sorted(package.rglob("__init__.py")):
        room = init.parent.relative_to(package).as_posix()
        if room != ".":
            short = f"`{room.partition('/')[2]}/`"
            assert f"`{room}/`" in text or short in text, room


def test_the_allowed_imports_are_those_that_import_linter_holds() -> None:
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    (block,) = re.findall(r"```text\n(cli > .*?)```", text, flags=re.DOTALL)
    shown = [" ".join(part.split()) for part in block.split("\n\n")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    held = {
        contract["containers"][0]: " > ".join(contract["layers"])
        for contract in contracts["contracts"]
        if contract["type"] == "layers"
    }
    assert shown == [
        held["lagotto"].removeprefix("__main__ > "),
        held["lagotto.hub"].replace("hub > ", "hub.py > ", 1),
    ]


@pytest.mark.thorough
@pytest.mark.xdist_group("reader")
def test_a_text_query_walks_the_fifteen_files(demo_folder: Path) -> None:
    files = walk("text query")
    assert len(files) <= 15
    hub = lagotto.Hub.open(demo_folder / "lagotto-demo" / "hub")
    hub.search("another word")  # opens the encoder
    entered = files_walked(lambda: hub.search("violin"))
    missed = set(files) - set(entered)  # the compiled kernel blends without rank_blend.py
    assert {"cli/search.py"} <= missed <= {"cli/search.py", "hub/descriptors/rank_blend.py"}
    assert len(entered) <= 75, "the page tells 65: shorten the walk, or tell how long it is"


@pytest.mark.thorough
@pytest.mark.xdist_group("reader")
@pytest.mark.usefixtures("demo_folder")
def test_a_text_query_is_at_most_fifteen_files_deep() -> None:
    chain = longest_chain(lambda: run(["search", "lagotto-demo/hub", "guitar"]))
    assert chain[0] == "cli/search.py"
    assert {"hub/hub.py", "hub/searcher.py", "hub/search/engine.py"} <= set(chain)
    assert len(chain) <= 15, chain


@pytest.mark.xdist_group("reader")
def test_a_classification_walks_its_files(demo_folder: Path) -> None:
    pictures = sorted((demo_folder / "lagotto-demo" / "pictures").iterdir())[:3]
    words = ["--labels", "violin,dog face", "--encoder", "clip-onnx"]
    words += ["--captions", "lagotto-demo/captions", "--quiet"]
    entered = files_walked(lambda: run(["classify", *map(str, pictures), *words]))
    assert set(walk("classification")) <= set(entered)
