"""Completion: what the words of a line may become, and the scripts in the shells themselves."""

import os
import pty
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer.main

import lagotto as lagotto_package
from colour_world import World, shared_world
from command_line import lagotto
from lagotto.cli.main import app
from lagotto.cli.terminal import completion
from lagotto.cli.terminal.candidates import find_candidates
from lagotto.cli.terminal.completion import ASKED
from lagotto.hub.reader.model_names import list_models, list_outputs
from lagotto.hub.store.layout import HubLayout

COMMAND = typer.main.get_command(app)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


@pytest.fixture(scope="module")
def place(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a hub `my-hub` and a program `lagotto`."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "my-hub").symlink_to(world.hub)
    (folder / "bin").mkdir()
    program = folder / "bin" / "lagotto"
    source = Path(lagotto_package.__file__).parents[1]
    command = f'PYTHONPATH={source} exec {sys.executable} -m lagotto.cli.main "$@"'
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)
    return folder


@pytest.fixture
def environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """That folder, entered; the variables of a shell in it."""
    monkeypatch.chdir(place)
    paths = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    shell = {"PATH": paths, "HOME": str(place), "TERM": "dumb", "PS1": "$ ", "LC_ALL": "C"}
    return os.environ | shell


def words_for(*line: str) -> list[str]:
    *words, current = line
    return [item.word for item in find_candidates(COMMAND, words, current)]


def test_commands_and_options_are_completed() -> None:
    assert {"search", "hub", "doctor", "completion"} <= set(words_for(""))
    assert words_for("se") == ["search", "serve"]
    assert words_for("hub", "re") == ["remove"]
    assert "--behaviour-only" in words_for("search", "h", "--be")
    assert {"--reference", "--no-reference"} <= set(words_for("search", "--"))
    assert words_for("--vers") == ["--version"]
    assert words_for("hub", "create", "h", "--probes", "--") == []  # the value of an option
    assert words_for("no-such", "") == []
    assert words_for("hub", "none", "x") == []


def test_names_of_models_are_completed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    names = [name for name, _ in list_models(Path("my-hub"))]
    assert len(names) > 2
    assert "plain" in names
    for words in (["describe"], ["audit"], ["hub", "remove"]):
        assert words_for(*words, "my-hub", "") == names
    assert words_for("describe", "--top", "3", "my-hub", "--quiet", "pla") == ["plain"]
    assert words_for("search", "my-hub", "--logit", "pla") == ["plain:"]
    outputs = words_for("search", "my-hub", "--logit", "plain:")
    assert outputs[0] == "plain:0"
    assert len(outputs) == len(list_outputs(Path("my-hub"), "plain"))
    assert words_for("hub", "add", "my-hub", "") == []  # files
    assert words_for("search", "my-hub", "") == []  # a text
    assert words_for("describe", "nowhere", "") == []


def test_a_broken_or_busy_catalogue_completes_nothing(
    place: Path, tmp_path: Path, world: World
) -> None:
    layout = HubLayout(tmp_path)
    assert list_models(tmp_path) == []
    layout.catalogue.write_bytes(b"no database")
    assert list_models(tmp_path) == []
    shutil.copyfile(HubLayout(world.hub).catalogue, layout.catalogue)
    assert list_models(tmp_path)
    with closing(sqlite3.connect(layout.catalogue, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        assert list_models(tmp_path) == []
        assert time.monotonic() - started < 5
    assert [path.name for path in tmp_path.iterdir()] == [layout.catalogue.name]


def test_a_fault_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    completion.answer_shell(None, ["search", ""], "words")
    completion.answer_shell(COMMAND, [], "words")
    completion.answer_shell(COMMAND, [], "line")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv(ASKED, "line")
    answer = lagotto('lagotto search "a b')
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_bash_replaces_only_what_is_behind_a_colon(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv(ASKED, "line")
    answer = lagotto("lagotto search my-hub --logit plain:0")
    assert answer.out.splitlines()[0].split("\t") == ["0", "red"]


def test_completion_loads_no_framework(place: Path) -> None:
    code = (
        "import os, sys; os.environ['LAGOTTO_COMPLETE'] = 'words'\n"
        f"sys.argv = ['lagotto', 'describe', {str(place / 'my-hub')!r}, 'pl']\n"
        "from lagotto.cli.main import main\n"
        "main(); sys.stdout.write(' '.join(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    found, modules = answer.stdout.split("\n", 1)
    assert found.startswith("plain\t")
    assert not {"numpy", "onnxruntime", "pyarrow", "huggingface_hub"} & set(modules.split())


def test_the_shell_of_the_user_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert lagotto("completion").out == lagotto("completion", "zsh").out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    lagotto("completion").refused(2, "shell 'tcsh' is not known", "bash, fish, zsh")


# --------------------------------------------------------------------------- the shells themselves


class Shell:
    """A shell on a terminal of its own."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execvpe(words[0], words, environment)

    def type(self, text: str, until: str) -> str:
        """Writes keys; what the terminal shows until a text appears, which it must."""
        os.write(self.terminal, text.encode())
        shown, ends = "", time.monotonic() + 30
        while until not in shown and time.monotonic() < ends:
            if select.select([self.terminal], [], [], 0.2)[0]:
                shown += os.read(self.terminal, 65536).decode(errors="replace")
        assert until in shown, shown
        return shown

    def close(self) -> None:
        """Ends the shell."""
        os.close(self.terminal)
        os.waitpid(self.process, 0)


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[Shell]:
    """Each shell that is here, with the script loaded."""
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    if name == "bash":
        started, first = Shell(["bash", "--norc", "--noprofile", "-i"], environment), ""
    else:
        started, first = Shell(["zsh", "-f", "-i"], environment), "autoload compinit; compinit -uD;"
    started.type(f'{first} eval "$(lagotto completion {name})"; echo lo""aded\n', "loaded\r\n")
    yield started
    started.close()


CLEAR = "\x15"


def test_a_shell_completes_commands_models_outputs_and_files(shell: Shell) -> None:
    shell.type("lagotto descr\t", "describe ")
    shell.type("my-h\t", "my-hub")
    shell.type(f"{CLEAR}lagotto describe my-hub pla\t", "plain ")
    shell.type(f"{CLEAR}lagotto search my-hub --logit pla\t", "plain:")
    shell.type("0\t", "0 ")


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_fish_completes_commands_models_outputs_and_files(environment: dict[str, str]) -> None:
    lines = ("lagotto hub st", "lagotto describe my-hub pla", "lagotto describe my-h")
    asked = "; ".join(f'complete -C "{line}"' for line in lines)
    answer = subprocess.run(
        ["fish", "--no-config", "-c", f"lagotto completion fish | source; {asked}"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    status, plain, folder = answer.stdout.splitlines()
    assert status.startswith("status\tShow models")
    assert plain.startswith("plain\tonnx, ")
    assert folder.startswith("my-hub")


def test_the_script_is_all_that_is_printed() -> None:
    for name, script in completion.SHELL_SCRIPTS.items():
        answer = lagotto("completion", name)
        assert (answer.code, answer.out, answer.err) == (0, script, "")
