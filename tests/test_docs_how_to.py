"""The command lines of the how-to pages run, each page in a folder of its own."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lagotto
from detector_makers import write_detector
from docs_workplace import make_workplace
from lagotto.cli.main import app
from lagotto.demo import bundled
from network_files import write_network
from postgres_server import RealServer

HOW_TO = Path(__file__).resolve().parents[1] / "docs" / "how-to"

RUN_HERE = {
    "bring-an-encoder": 2,
    "caption-store": 7,
    "checkpoints": 3,
    "choose-probes": 5,
    "detectors": 2,
    "doctor": 1,
    "evaluate": 5,
    "shards": 3,
    "publish-a-hub": 3,
    "terminal": 3,
}
"""The pages that this file runs, with the number of command lines that run of each."""

ON_A_SERVER = {"captions-on-a-server": 7}
"""A page that runs where the packages for a PostgreSQL are, with the number of command lines."""

SERVER_OF_PAGE = "postgresql://me@db.example/pictures"

RUN_ELSEWHERE = {"add-models", "audit-labels", "inspect", "large-hubs", "sandbox"}
"""Pages that test_docs.py runs."""

NOT_RUN = {
    "keras": "one line, as in add-models; every layer has tests of its own",
    "my-files": "has no command; a test names a test for each of its rows",
    "registries": "needs a registry of MLflow; tests/core/remote runs against one of ours",
    "remote-models": "names repositories of the Hugging Face Hub; tests run against a stub of it",
    "reproduce-papers": "needs internet, disk and days, and says so",
    "serve": "a server runs until it is stopped; tests/web starts it and stops it",
    "the-page": "a server runs until it is stopped; tests/web starts it and stops it",
}
"""The other pages, each with the reason; test_docs_commands.py reads their lines all the same."""


FROM_ELSEWHERE = re.compile(r"\bhf:|s3://|--encoder (clip|siglip)(\s|$)|pd12m|per-model 2239")
"""Lines that need the Hugging Face Hub, or a hub of more probes than are here; tests of the
commands run the same against a stub of the Hub."""


def command_lines(page: str) -> list[str]:
    """The commands of the fences without a language, or of bash where a page has no others."""
    text = (HOW_TO / f"{page}.md").read_text()
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    for language in ("", "bash"):
        joined = "\n".join(block for kind, block in fences if kind == language)
        lines = joined.replace("\\\n", " ").splitlines()
        found = [
            line
            for line in lines
            if line.startswith("lagotto ") and not FROM_ELSEWHERE.search(line)
        ]
        if found:
            return [line for line in found if not FROM_ELSEWHERE.search(line)]
    return []


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages name: photos, an encoder, models of several forms, a truth, labelled pictures."""
    folder = make_workplace(tmp_path_factory.mktemp("how-to"))
    (folder / "encoders").mkdir()
    (folder / "encoders" / "my-clip").symlink_to(folder / "clip-onnx")
    write_detector(folder / "detectors" / "yolo", "yolo8", ("red", "green", "blue"))
    (folder / "runs").mkdir()
    write_network("cifar/akamaster_resnet20", folder / "runs")
    query = {"text": "koala", "kind": "animals", "relevant": [["old_laptop_copy", 0]]}
    (folder / "truth.json").write_text(json.dumps({"queries": [query | {"acceptable": []}]}))
    return folder


@pytest.fixture(scope="module")
def hub(workplace: Path) -> Path:
    """A hub without models."""
    encoder = str(bundled.DEMO_ENCODER)
    return lagotto.Hub.create(workplace / "empty", bundled.PROBES, encoder, max_probes=60).folder


def test_every_page_is_run_or_has_a_reason() -> None:
    pages = {path.stem for path in HOW_TO.glob("*.md")}
    assert pages == {*RUN_HERE, *ON_A_SERVER, *RUN_ELSEWHERE, *NOT_RUN}
    text = (Path(__file__).parent / "test_docs.py").read_text()
    for page in RUN_ELSEWHERE:
        assert f'"how-to/{page}.md"' in text


@pytest.mark.thorough
@pytest.mark.parametrize("page", RUN_HERE)
def test_the_commands_of_a_page_run(
    page: str, workplace: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = command_lines(page)
    assert len(lines) == RUN_HERE[page]
    for path in workplace.iterdir():
        if path != hub:
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    text = " ".join(lines)
    if "my-hub" in text and "hub create" not in text:
        shutil.copytree(hub, "my-hub")
    if page == "evaluate":
        pytest.importorskip("matplotlib")
        lagotto.Hub.open("my-hub").add(tmp_path / "models")
        lagotto.CaptionStore.create("my-captions", ["photos"], "clip-onnx")
    for line in lines:
        result = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        assert result.exit_code == 0, (line, result.output, result.exception)


@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("page", ON_A_SERVER)
def test_the_commands_of_a_page_run_on_a_server(
    page: str, postgres: RealServer, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    lines = command_lines(page)
    assert len(lines) == ON_A_SERVER[page]
    for line in lines:
        assert SERVER_OF_PAGE in line
        line = line.replace(SERVER_OF_PAGE, f"'{postgres.address()}'")
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, (line, result.output, result.exception)
