"""`lagotto search`: the contract of its output."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

import colour_world
from colour_world import MODELS, World, planted
from command_line import lagotto
from lagotto.hub.hub import Hub

HIT = {
    "rank": int,
    "model": str,
    "logit": int,
    "label": (str, type(None)),
    "distance": float,
    "score": float,
    "confidence": (float, type(None)),
    "quality": (float, type(None)),
    "p_value": (float, type(None)),
    "through": (dict, type(None)),
}


def test_json_has_exactly_the_keys_of_the_contract(world: World) -> None:
    answer = lagotto("search", world.hub, "red", "--json", "--top", "4", "--k", "9")
    found = answer.json
    assert (answer.code, answer.err) == (0, "")
    assert list(found) == [
        "query",
        "hub",
        "k",
        "presence",
        "coverage",
        "low_rank",
        "hits",
        "elapsed_s",
    ]
    assert found["query"] == {"kind": "text", "value": "red"}
    assert found["hub"] == str(world.hub)
    assert found["k"] == 9
    assert 0 < found["elapsed_s"] < 60
    assert len(found["hits"]) == 4
    for rank, hit in enumerate(found["hits"], start=1):
        assert list(hit) == list(HIT)
        assert all(isinstance(hit[key], kind) for key, kind in HIT.items())
        assert hit["rank"] == rank
        assert 0 <= hit["confidence"] <= 1
        assert 0 <= hit["score"] <= 1
    assert {(hit["model"], hit["logit"]) for hit in found["hits"][:3]} == planted("red")


def test_json_says_what_python_says(world: World) -> None:
    found = lagotto("search", world.hub, "white", "--json").json
    hits = Hub.open(world.hub).search("white").hits
    assert found["hits"] == [asdict(hit) for hit in hits]
    assert None in [hit["label"] for hit in found["hits"]]


def test_a_logit_query(world: World) -> None:
    found = lagotto("search", world.hub, "--logit", "plain:0", "--k", "9", "--json").json
    assert found["query"] == {"kind": "logit", "value": "plain:0"}
    names = [(hit["model"], hit["logit"]) for hit in found["hits"]]
    assert set(names[:2]) == planted("red") - {("plain", 0)}
    outside = world.models / "plain" / "model.onnx"
    found = lagotto("search", world.hub, "--logit", f"{outside}:0", "--k", "9", "--json").json
    assert found["query"]["value"] == f"{outside}:0"
    assert {(hit["model"], hit["logit"]) for hit in found["hits"][:3]} == planted("red")


def test_an_image_query_with_one_and_with_several(world: World, tmp_path: Path) -> None:
    files = []
    for number in range(2):
        files.append(tmp_path / f"{number}.png")
        colour_world.picture("cyan", 70_000 + number).save(files[-1])
    for given in (files[:1], files):
        flags = [word for file in given for word in ("--image", str(file))]
        found = lagotto("search", world.hub, *flags, "--k", "9", "--json").json
        assert found["query"] == {"kind": "image", "value": [str(file) for file in given]}
        assert {(hit["model"], hit["logit"]) for hit in found["hits"][:3]} == planted("cyan")


def test_by_model(world: World) -> None:
    found = lagotto("search", world.hub, "red", "--by-model", "--top", "100", "--json").json
    assert sorted(hit["model"] for hit in found["hits"]) == sorted(MODELS)


def test_the_table(world: World) -> None:
    answer = lagotto("search", world.hub, "white", "--k", "9", "--top", "3")
    lines = answer.out.splitlines()
    assert (answer.code, answer.err, len(lines)) == (0, "", 4)
    assert lines[0].split() == [
        "rank",
        "model",
        "logit",
        "label",
        "distance",
        "score",
        "confidence",
        "quality",
    ]
    rows = [line.split() for line in lines[1:]]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert {(row[1], row[3]) for row in rows} == {
        ("opencv", "white"),
        ("bytes", "white"),
        ("nameless", "-"),
    }


def test_a_long_text_gives_a_notice_on_stderr_unless_quiet(world: World) -> None:
    text = "red " * 40
    told = lagotto("search", world.hub, text, "--json")
    assert told.err.startswith("note: the text has ")
    assert told.err.count("\n") == 1
    quiet = lagotto("search", world.hub, text, "--json", "--quiet")
    assert (quiet.err, quiet.code) == ("", 0)
    assert quiet.json["hits"] == told.json["hits"]


def test_explain_writes_a_sheet_and_prints_the_deciding_probes(
    world: World, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    answer = lagotto("search", world.hub, "red", "--k", "9", "--top", "2", "--explain", sheet)
    assert answer.code == 0
    assert answer.err == f"contact sheet: {sheet}\n"
    table, probes = answer.out.split("\n\n")
    first = [line.split() for line in table.splitlines()[1:]]
    lines = probes.splitlines()
    assert lines[0].startswith("probes that decided")
    assert lines[1].split() == ["probe", "query", *(f"{row[1]}:{row[2]}" for row in first)]
    assert len(lines) == 2 + 9
    assert all(line.split()[0].endswith("_red.png") for line in lines[2:])
    assert all(float(cell) > 1 for line in lines[2:] for cell in line.split()[1:])
    with Image.open(sheet) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.width >= 640


def test_explain_with_json_or_quiet_adds_nothing_to_stdout(world: World, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    answer = lagotto("search", world.hub, "red", "--explain", sheet, "--json", "--quiet")
    assert answer.json["hits"]
    assert (answer.err, answer.code) == ("", 0)
    assert sheet.is_file()


def test_control_characters_of_strangers_are_shown_not_obeyed(
    world: World, hub_copy: Path, tmp_path: Path
) -> None:
    model = colour_world.Classifier(("red", "blue"), seed=77)
    colour_world.write_classifier(tmp_path / "evil", model)
    description = tmp_path / "evil" / "model.json"
    said = json.loads(description.read_text())
    description.write_text(json.dumps(said | {"labels": ["\x1b[31mred\nrank", "b\u202elue"]}))
    Hub.open(hub_copy).add([tmp_path / "evil"])
    for words in (["red"], ["--logit", "plain:0"]):
        answer = lagotto("search", hub_copy, *words, "--k", "9", "--top", "4")
        assert "\x1b" not in answer.out
        assert len(answer.out.splitlines()) == 5
    for words in ([hub_copy, "--logit", "a\x1b[31m\nb:0"], ["a\x1b[31m\nb", "red"]):
        refused = lagotto("search", *words)
        refused.refused(refused.code or 1, "a\\x1b[31m\\nb")
        assert "\x1b" not in refused.err


@pytest.mark.parametrize("text", ["Ünïcode", "犬", "🐶", "a\tb", "{}", "%s", "--" * 3 + " red"])
def test_any_text_is_answered(world: World, text: str) -> None:
    answer = lagotto("search", world.hub, "--json", "--", text)
    assert answer.code == 0
    assert answer.json["query"]["value"] == text


def test_the_encoder_may_have_moved(world: World, hub_copy: Path, tmp_path: Path) -> None:
    moved = colour_world.write_encoder(tmp_path / "elsewhere")
    found = lagotto("search", hub_copy, "red", "--encoder", moved, "--k", "9", "--json").json
    assert {(hit["model"], hit["logit"]) for hit in found["hits"][:3]} == planted("red")
