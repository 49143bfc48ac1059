"""What the commands do at the system's door, as strace sees it: no socket, no file elsewhere."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from colour_world import World, shared_world
from command_line import COMMAND, ENVIRONMENT
from lagotto.jobs.sandbox.environment import worker_environment
from lagotto.jobs.sandbox.telemetry import TELEMETRY_OFF, switch_off_telemetry

SOCKET = re.compile(r"^\d+ +(socket|connect|bind|send|listen|accept)")
WRITING = re.compile(
    r"O_WRONLY|O_RDWR|O_CREAT"
    r"|^\d+ +(creat|mkdir|mknod|rename|link|symlink|unlink|truncate|f?chmod|l?f?chown|utim)"
)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
HARMLESS = ("/dev/null", "/dev/tty", "/proc/self/")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


@pytest.fixture(scope="module")
def strace(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of strace; skips where it is missing or may not trace."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    out = tmp_path_factory.mktemp("strace") / "out"
    tried = subprocess.run([program, "-f", "-o", out, "true"], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.decode().strip()}")
    return program


@dataclass(frozen=True)
class Place:
    """The folders in which a command may write, and one in which it must not."""

    home: Path
    temporary: Path
    work: Path

    def run(self, strace: str, *words: str | Path) -> list[str]:
        """The system calls of a command that must succeed, a line each."""
        out = self.home.parent / "trace"
        trace = [strace, "-f", "-qq", "-s", "300", "-e", "trace=%network,%file", "-o", str(out)]
        environment = {
            name: value for name, value in ENVIRONMENT.items() if name not in TELEMETRY_OFF
        }
        environment |= {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [*trace, *COMMAND, *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return out.read_text(errors="replace").splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "home", tmp_path / "temporary", tmp_path / "work")
    for folder in (made.home, made.temporary, made.work):
        folder.mkdir()
    yield made
    assert list(made.home.rglob("*")) == []
    assert list(made.temporary.rglob("*")) == []


def written_elsewhere(lines: list[str], *allowed: Path) -> list[str]:
    """The calls that changed a file outside the allowed folders and succeeded."""
    roots = (*map(str, allowed), *HARMLESS)
    found = []
    for line in lines:
        if not WRITING.search(line) or re.search(r"= -1 [A-Z]+", line):
            continue
        names = [name for name in QUOTED.findall(line) if name.startswith("/")]
        if names and not all(name.startswith(roots) for name in names):
            found.append(line)
    return found


def commands(world: World, work: Path) -> dict[str, list[str | Path]]:
    """Adding models, a search and a classification, each in the folder that it may change."""
    picture = next(path for path in sorted(world.pictures.iterdir()) if "broken" not in path.name)
    labels = work / "labels.txt"
    labels.write_text("red\ngreen\n")
    hub = work / "hub"
    shutil.copytree(world.empty_hub, hub)
    return {
        "add": ["hub", "add", hub, world.models, "--workers", "1"],
        "search": ["search", hub, "red"],
        "classify": ["classify", picture, "--labels", labels, "--encoder", world.encoder],
        "status": ["hub", "status", hub],
    }


def has_any(line: str, texts: Iterable[str]) -> bool:
    return any(text in line for text in texts)


@pytest.mark.thorough
def test_no_socket_and_no_file_elsewhere(world: World, strace: str, place: Place) -> None:
    for name, words in commands(world, place.work).items():
        lines = place.run(strace, *words)
        assert len(lines) > 100, name
        sockets = [line for line in lines if SOCKET.search(line) and "EPERM" not in line]
        if name == "status":  # it tries whether a worker could reach a port and a service
            own = ('inet_addr("127.0.0.1")', f'sun_path="{place.temporary}')
            sockets = [line for line in sockets if "addr" in line and not has_any(line, own)]
        assert sockets == [], name
        assert written_elsewhere(lines, place.work, place.temporary) == [], name


def test_each_library_that_reports_to_its_makers_is_told_not_to() -> None:
    """The variables as these libraries read them; a name that is lost here reports in silence."""
    environment: dict[str, str] = {}
    switch_off_telemetry(environment)
    assert environment == {
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def test_the_import_keeps_what_the_user_has_set() -> None:
    environment = {"ORT_DISABLE_TELEMETRY": "0"}
    switch_off_telemetry(environment)
    assert environment == TELEMETRY_OFF | {"ORT_DISABLE_TELEMETRY": "0"}


def test_workers_report_nothing_whatever_the_user_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert worker_environment(tmp_path).items() >= TELEMETRY_OFF.items()


def test_the_import_comes_first() -> None:
    code = "import lagotto, os, sys; assert not {'onnxruntime', 'numpy'} & {*sys.modules}"
    tail = f"; assert all(os.environ[name] for name in {[*TELEMETRY_OFF]})"
    environment = {name: value for name, value in os.environ.items() if name not in TELEMETRY_OFF}
    subprocess.run([COMMAND[0], "-c", code + tail], check=True, env=environment)
