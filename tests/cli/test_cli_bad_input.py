"""What cannot be done is said in one line: what was wrong and what next; nothing is written."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import colour_world
from colour_world import World
from command_line import lagotto


@pytest.fixture
def places(world: World, tmp_path: Path) -> dict[str, str]:
    """What the cases below name."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "rubbish" / "a.jpg").write_text("no picture")
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    shutil.copytree(world.encoder, tmp_path / "no_text_tower")
    (tmp_path / "no_text_tower" / "text_model.onnx").unlink()
    return {
        "hub": str(world.hub),
        "empty_hub": str(world.empty_hub),
        "pictures": str(world.pictures),
        "picture": str(world.pictures / "000_red.png"),
        "encoder": str(world.encoder),
        "models": str(world.models),
        "other_encoder": str(colour_world.write_encoder(tmp_path / "other", 9.0)),
        "tmp": str(tmp_path),
        "long": "x" * 300,
    }


TOO_LONG = ["File name too long", "choose a shorter name"]

CASES: dict[str, tuple[str, int, Sequence[str]]] = {
    "a name too long for a hub": ("hub status {long}", 1, TOO_LONG),
    "a name too long for a model": ("inspect {long}", 1, TOO_LONG),
    "a name too long for a part": ("hub merge {hub} {long}", 1, TOO_LONG),
    "a name too long for an export": ("hub export {hub} {tmp}/{long}", 1, TOO_LONG),
    "a name too long for a store": ("captions verify {long}", 1, TOO_LONG),
    "a link to itself": ("hub merge {hub} {tmp}/loop", 1, ["levels of symbolic links", "remove"]),
    "no such hub": ("search {tmp}/nowhere red", 1, ["lagotto hub create"]),
    "no hub": ("search {pictures} red", 1, ["not a hub"]),
    "a file as hub": ("hub status {tmp}/file", 1, ["no hub at"]),
    "no models yet": ("search {empty_hub} red", 2, ["lagotto hub add"]),
    "no query": ("search {hub}", 2, ["nothing given", "TEXT"]),
    "two queries": ("search {hub} red --logit plain:0", 2, ["TEXT and --logit"]),
    "three queries": ("search {hub} red --logit plain:0 --image x.png", 2, ["--image"]),
    "blank text": ("search {hub} \u00a0", 2, ["empty"]),
    "unknown model": ("search {hub} --logit plian:0", 2, ["Did you mean 'plain'?"]),
    "unknown logit": ("search {hub} --logit plain:3", 2, ["0 to 2"]),
    "no logit": ("search {hub} --logit plain", 2, ["MODEL:INDEX"]),
    "huge logit": ("search {hub} --logit plain:" + "9" * 5000, 2, ["MODEL:INDEX"]),
    "no such picture": ("search {hub} --image {tmp}/no.png", 2, ["no.png"]),
    "no picture": ("search {hub} --image {tmp}/file", 2, ["not a picture"]),
    "k too large": ("search {hub} red --k 73", 2, ["between 1 and 72"]),
    "other encoder": (
        "search {hub} red --encoder {other_encoder}",
        1,
        ["made with encoder encoder", "other ("],
    ),
    "encoder gone": ("search {hub} red --encoder {tmp}/nowhere", 2, ["nowhere"]),
    "sheet nowhere": ("search {hub} red --explain {tmp}/nowhere/x.png", 1, ["cannot write"]),
    "several models outside": ("search {hub} --logit {models}:0", 2, ["holds 7 models"]),
    "no model outside": ("search {hub} --logit {picture}:0", 2, [".onnx"]),
    "hub exists": (
        "hub create {hub} --probes {pictures} --encoder {encoder}",
        2,
        ["exists already"],
    ),
    "no probes": (
        "hub create {tmp}/h --probes {tmp}/nowhere --encoder {encoder}",
        2,
        ["no such file"],
    ),
    "empty probes": (
        "hub create {tmp}/h --probes {tmp}/empty --encoder {encoder}",
        1,
        ["no pictures"],
    ),
    "rubbish probes": (
        "hub create {tmp}/h --probes {tmp}/rubbish --encoder {encoder}",
        1,
        ["not a picture"],
    ),
    "file as probes": (
        "hub create {tmp}/h --probes {tmp}/file --encoder {encoder}",
        2,
        ["file"],
    ),
    "incomplete encoder": (
        "hub create {tmp}/h --probes {pictures} --encoder {tmp}/no_text_tower",
        1,
        ["has no text_model.onnx", "found:"],
    ),
    "no encoder": (
        "hub create {tmp}/h --probes {pictures} --encoder {tmp}/nowhere",
        2,
        ["nowhere"],
    ),
    "hub below a file": (
        "hub create {tmp}/file/h --probes {pictures} --encoder {encoder}",
        1,
        ["cannot write"],
    ),
    "no models": ("hub add {hub} {tmp}/empty", 2, ["no model under", ".onnx"]),
    "models nowhere": ("hub add {hub} {tmp}/nowhere", 2, ["no such model file"]),
    "no repository": ("hub add {hub} hf:org/name/more", 2, ["hf:ORG/NAME[@REV]"]),
    "no search": ("hub add {hub} hf-search:autor=x", 2, ["Did you mean 'author'?"]),
    "remote model outside": ("search {hub} --logit hf:org/name:0", 2, ["hf:org/name"]),
    "unknown runner": ("hub add {hub} {models} --runner slurm", 2, ["local"]),
    "remove unknown": ("hub remove {hub} plian", 2, ["Did you mean 'plain'?"]),
    "verify no hub": ("hub verify {pictures}", 1, ["not a hub"]),
}


def files_of(hub: Path) -> list[Path]:
    """What is in a hub."""
    return sorted(hub.rglob("*"))


@pytest.mark.parametrize("case", CASES)
def test_one_line_that_says_what_and_what_next(places: dict[str, str], case: str) -> None:
    command, code, words = CASES[case]
    tmp = Path(places["tmp"])
    hub = Path(places["hub"])
    before = sorted(tmp.rglob("*")), files_of(hub)
    answer = lagotto(*(word.format(**places) for word in command.split(" ")))
    answer.refused(code, *words)
    assert (sorted(tmp.rglob("*")), files_of(hub)) == before  # also no hidden draft


@pytest.mark.parametrize(
    "command",
    [
        "search",
        "search {hub} red --k 0",
        "search {hub} red --top 0",
        "search {hub} red --k many",
        "search {hub} red --no-such-option",
        "hub add {hub}",
        "hub add {hub} {models} --workers 0",
        "hub add {hub} {models} --timeout -1",
        "hub add {hub} {models} --memory-gb 0",
        "hub create {tmp}/h --probes {pictures} --encoder {encoder} --max-probes 1",
        "hub frobnicate",
        "frobnicate",
    ],
)
def test_a_wrong_call_ends_with_2_and_shows_the_usage(places: dict[str, str], command: str) -> None:
    answer = lagotto(*(word.format(**places) for word in command.split()))
    assert answer.code == 2
    assert answer.out == ""
    assert "Usage: " in answer.err
    assert "Traceback" not in answer.err
