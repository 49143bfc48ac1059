"""Checkpoints made to harm, and damaged ones: refused in one line, and nothing is executed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attack_checkpoints import CHECKPOINT_ATTACKS, READ, SAFETENSORS_ATTACKS
from attack_models import Place
from checkpoint_damage import READERS, damaged
from lagotto.core.errors import ModelError
from lagotto.models.checkpoints import modules
from lagotto.models.checkpoints.pickles import unpickling

ATTACKS = CHECKPOINT_ATTACKS | SAFETENSORS_ATTACKS
LONGEST_S = 30.0
COUNT = int(os.environ.get("LAGOTTO_FUZZ_EXAMPLES", "40")) * 10


@pytest.fixture
def _lower_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types are checked at each call here, so a pickle takes thirty times as long as elsewhere."""
    monkeypatch.setattr(unpickling, "MAX_OPERATIONS", 50_000)
    monkeypatch.setattr(modules, "MAX_ATTRIBUTES", 5_000)


@pytest.mark.usefixtures("_lower_bounds")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_as_it_must(tmp_path: Path, name: str) -> None:
    attack = ATTACKS[name]
    place = Place(tmp_path / "secret.bin", tmp_path / "marker")
    place.secret.write_bytes(b"secret")
    folder = tmp_path / name
    folder.mkdir()
    attack.write(folder, place)
    (file,) = folder.iterdir()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    started = time.monotonic()
    said = READ
    try:
        READERS["torch"].read(file)
    except ModelError as error:
        said = str(error)
    assert attack.becomes in said
    assert said.isprintable()
    assert len(said) < 400
    assert time.monotonic() - started < LONGEST_S
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("reader", READERS)
def test_damaged_files_are_read_or_refused(tmp_path: Path, reader: str) -> None:
    file = tmp_path / f"damaged{READERS[reader].ending}"
    ends = {"read": 0, "refused": 0}
    for number in range(COUNT):
        _, data = damaged(READERS[reader], f"suite:{number}")
        file.write_bytes(data)
        said = ""
        try:
            READERS[reader].read(file)
        except ModelError as error:
            said = str(error)
        assert not said or (said.isprintable() and len(said) < 500), (number, said)
        ends["refused" if said else "read"] += 1
    assert min(ends.values()) > 0


def test_the_same_number_makes_the_same_damage() -> None:
    assert damaged(READERS["torch"], "a:1") == damaged(READERS["torch"], "a:1")
    assert damaged(READERS["torch"], "a:1") != damaged(READERS["torch"], "a:2")


def test_no_opcode_of_python_is_forgotten() -> None:
    """Every opcode of pickletools is one that is known, or STOP."""
    import pickletools

    codes = {opcode.code.encode("latin-1") for opcode in pickletools.opcodes}
    assert codes - set(unpickling._OPERATIONS) == {b"."}
    assert set(unpickling._OPERATIONS) <= codes


def test_the_watch_of_the_benchmark_hears_what_it_must() -> None:
    """In a process of its own, since an audit hook stays: each event is counted."""
    code = """
import os, sys
from reliability.checkpoint_fuzz import Watch
watch = Watch()
watch.is_on = True
os.system("true")
eval("1")
import antigravity_is_not_there
""".replace("import antigravity_is_not_there", "open(os.devnull, 'w').close()")
    code += "watch.is_on = False\nprint(sorted(event.split()[0] for event in watch.events))"
    root = Path(__file__).resolve().parents[3]
    paths = [str(root / "benchmarks"), str(root / "src"), str(root / "tests" / "helpers")]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['compile', 'exec', 'open', 'os.system']"
