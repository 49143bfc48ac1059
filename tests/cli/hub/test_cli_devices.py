"""`--device` on the command line, where there is no GPU: one line, or the CPU and a notice."""

import json
from pathlib import Path

import pytest

from colour_world import World
from command_line import lagotto
from lagotto.core.types import JsonObject


def commands(world: World, place: Path) -> dict[str, list[object]]:
    pictures = sorted(world.pictures.iterdir())
    lines = [json.dumps({"image": str(path), "captions": ["red"]}) for path in pictures[:4]]
    (place / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    (place / "new.jsonl").write_text(lines[0].replace("red", "a red picture") + "\n")
    hub, models = place / "hub", world.models / "plain"
    store, pairs = place / "store", place / "pairs.jsonl"
    return {
        "create": ["hub", "create", hub, "--probes", world.pictures, "--encoder", world.encoder],
        "add": ["hub", "add", hub, models],
        "grow": ["hub", "grow", hub, "--probes", place / "more"],
        "captions": ["captions", "create", store, "--pairs", pairs, "--encoder", world.encoder],
        "captions add": ["captions", "add", store, "--pairs", place / "new.jsonl"],
        "classify": [
            *("classify", pictures[0], "--labels", "red,green", "--encoder", world.encoder),
            *("--captions", store, "--hub", hub),
        ],
        "classify by an encoder": [
            *("classify", pictures[0], "--labels", "red,green", "--encoder", world.encoder),
        ],
        "classify by the store": [
            *("classify", pictures[0], "--labels", "red,green", "--captions", store),
        ],
        "classify by the hub": ["classify", pictures[0], "--labels", "red,green", "--hub", hub],
    }


@pytest.fixture(scope="module")
def place(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which each command was run with `--device auto`; what they said is in it."""
    import colour_world

    folder = tmp_path_factory.mktemp("devices")
    colour_world.write_pictures(folder / "more", each=1, seed=99_000)
    said: JsonObject = {}
    for name, words in commands(world, folder).items():
        answer = lagotto(*words, "--device", "auto")
        assert answer.code == 0, answer
        said[name] = answer.err
    (folder / "said.json").write_text(json.dumps(said))
    return folder


def test_auto_runs_on_the_cpu_and_says_so_once(world: World, place: Path) -> None:
    said = json.loads((place / "said.json").read_text())
    assert set(said) == set(commands(world, place))
    for name, text in said.items():
        assert text.count("note: device auto is the CPU here: onnxruntime") == 1, (name, text)


def test_quiet_is_quiet(world: World, place: Path) -> None:
    words = commands(world, place)["classify by the hub"]
    assert lagotto(*words, "--device", "auto", "--quiet").err == ""


def test_a_gpu_that_is_not_there_is_one_line(world: World, place: Path) -> None:
    for name, words in commands(world, place).items():
        if name in ("create", "captions"):
            words = [*words[:2], f"{words[2]}-new", *words[3:]]
        answer = lagotto(*words, "--device", "cuda", "--quiet")
        answer.refused(2, "device 'cuda' cannot be used", "install onnxruntime-gpu", "cpu, cuda")
        lagotto(*words, "--device", "gpu", "--quiet").refused(2, "'gpu' is not known", "allowed")
    assert not (place / "hub-new").exists()
    assert not (place / "store-new").exists()


def test_doctor_says_what_can_be_chosen() -> None:
    report = lagotto("doctor", "--json", "--quiet").json
    assert report["devices"][0] == "cpu"
    assert (len(report["devices"]) == 1) == bool(report["device_note"])
    assert "devices     cpu" in lagotto("doctor", "--quiet").out
