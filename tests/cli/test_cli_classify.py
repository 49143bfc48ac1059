"""`lagotto classify` at the command line, in the world of colours."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from colour_world import NAMES, World, picture, write_encoder
from command_line import lagotto, stderr_on_a_terminal
from lagotto.encoders.background.words import background_words
from lagotto.specialists.classifier import IMAGE_ALONE

LABELS = ",".join(NAMES)


@pytest.fixture(scope="module")
def store(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caption store of the world's pictures, each with two captions that name its colour."""
    folder = tmp_path_factory.mktemp("captions")
    lines = []
    for file in sorted(world.pictures.glob("0*.png")):
        number, colour = file.stem.split("_")
        said = [f"a photo of {colour} {number}", f"photo {colour} of {number}"]
        lines.append(json.dumps({"image": str(file), "captions": said}))
    pairs = folder / "pairs.jsonl"
    pairs.write_text("\n".join(lines) + "\n")
    made = lagotto(
        "captions", "create", folder / "store", "--pairs", pairs, "--encoder", world.encoder
    )
    assert made.code == 0, made.err
    return folder / "store"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, colour in enumerate(NAMES):
        picture(colour, 5000 + i).save(folder / f"{colour}.png")
    return folder


def test_json_is_the_contract(world: World, store: Path, photos: Path) -> None:
    (photos / "zz.png").write_text("no picture")
    found = lagotto("classify", photos, "--labels", LABELS, "--captions", store,
                    "--encoder", world.encoder, "--mode", "paper", "--json")  # fmt: skip
    assert found.code == 1
    assert "1 of 9 pictures could not be read" in found.err
    answer = found.json
    assert set(answer) == {
        *("labels", "encoder", "mode", "images", "source_count", "notes", "elapsed_s")
    }
    assert all(isinstance(note, str) for note in answer["notes"])
    assert IMAGE_ALONE not in answer["notes"]
    assert answer["source_count"] == {"seen": 9, "taken": 8, "skipped": 1, "passed_over": {}}
    assert answer["labels"] == list(NAMES)
    *good, bad = answer["images"]
    assert bad["error"]
    assert set(bad) == {"path", "error"}
    for row in good:
        assert set(row) == {
            *("path", "label", "probabilities", "image_only", "weights", "captions"),
            *("none", "suggestions"),
        }
        assert 0 <= row["none"] <= 1
        assert len(row["suggestions"]) == 5
        assert row["label"] == row["image_only"]["label"] == Path(row["path"]).stem
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert sum(row["weights"].values()) == pytest.approx(1, abs=1e-4)
        assert len(row["captions"]) == len(NAMES)  # those of a colour read alike
        assert Path(row["path"]).stem in row["captions"][0]["text"]


def test_without_store_and_hub_it_is_said_once(world: World, photos: Path) -> None:
    asked = ("classify", photos, "--labels", LABELS, "--encoder", world.encoder)
    found = lagotto(*asked)
    assert found.err.count(IMAGE_ALONE) == 1
    assert lagotto(*asked, "--quiet", "--json").json["notes"].count(IMAGE_ALONE) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of Unix")
def test_a_terminal_shows_how_far_the_embedding_of_words_is(world: World, photos: Path) -> None:
    asked = ("classify", photos, "--labels", LABELS, "--encoder", world.encoder)
    words = len(background_words())
    shown = stderr_on_a_terminal(*asked)
    assert "embedding words" in shown
    assert f"{words}/{words} words" in shown
    assert stderr_on_a_terminal(*asked, "--quiet") == ""


def test_one_label_asks_whether_it_is_there(world: World, photos: Path) -> None:
    asked = ("classify", photos / "red.png", "--labels", "red", "--encoder", world.encoder)
    (row,) = lagotto(*asked, "--json").json["images"]
    assert (row["label"], row["probabilities"]) == ("red", [1.0])
    (rejected,) = lagotto(*asked, "--reject", "0", "--json").json["images"]
    assert rejected["label"] == "(none of these)"
    assert rejected["none"] == row["none"]
    head, line = (each.split() for each in lagotto(*asked).out.splitlines())
    assert float(line[head.index("none")]) == pytest.approx(row["none"], abs=6e-4)


def test_a_small_store_declines(world: World, store: Path, photos: Path) -> None:
    found = lagotto("classify", photos, "--labels", LABELS, "--captions", store,
                    "--encoder", world.encoder, "--json")  # fmt: skip
    assert found.code == 0
    assert "too few" in found.err
    for row in found.json["images"]:
        assert row["declined"]
        assert row["weights"] == {"image": 1.0, "captions": 0.0}


def test_csv(world: World, photos: Path) -> None:
    Image.new("RGB", (16, 16), (255, 0, 0)).save(photos / 'a,"b.png')
    found = lagotto("classify", photos, "--labels", LABELS, "--encoder", world.encoder, "--csv")
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert [row["label"] for row in rows] == ["red", *sorted(NAMES)]
    assert all(0 <= float(row["none"]) <= 1 for row in rows)
    assert rows[0]["path"].endswith('a,"b.png')
    assert found.code == 0


def test_table_and_pages(world: World, photos: Path, tmp_path: Path) -> None:
    found = lagotto("classify", photos, "--labels", LABELS, "--encoder", world.encoder,
                    "--explain", tmp_path / "pages")  # fmt: skip
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].split()[:3] == ["path", "label", "probability"]
    assert len(lines) == 1 + len(NAMES)
    assert len(list((tmp_path / "pages").iterdir())) == 1 + len(NAMES)
    assert "index.html" in found.err


def test_templates_and_label_file(world: World, photos: Path, tmp_path: Path) -> None:
    labels, templates = tmp_path / "labels.txt", tmp_path / "templates.txt"
    labels.write_text("\n".join(NAMES))
    templates.write_text("{}\na {}\n")
    common = ("--encoder", world.encoder, "--templates", templates, "--json")
    found = lagotto("classify", photos / "red.png", "--labels", labels, *common)
    assert found.json["images"][0]["label"] == "red"


def test_lists_as_they_are_published(world: World, photos: Path, tmp_path: Path) -> None:
    labels, templates = tmp_path / "classes.json", tmp_path / "templates.txt"
    names = {str(i): name for i, name in enumerate((*NAMES, "Red"))}
    labels.write_text(json.dumps(names, indent=1))
    templates.write_text("a {c}\n%s\n")
    common = ("--encoder", world.encoder, "--templates", templates, "--json")
    found = lagotto("classify", photos / "red.png", "--labels", labels, *common)
    assert found.json["labels"] == list(NAMES)
    assert found.json["images"][0]["label"] == "red"
    assert "note: 1 repeated label was folded into the first of that name: red = Red" in found.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--labels", LABELS, "--reject", "1.5"], 2, ["reject is 1.5", "from 0 to 1"]),
        (["--labels", LABELS, "--reject=-0.1"], 2, ["reject is -0.1", "from 0 to 1"]),
        (["--labels", LABELS, "--reject", "nan"], 2, ["reject is nan", "from 0 to 1"]),
        (["--labels", ""], 2, ["no labels"]),
        (["--labels", "red,Red"], 2, ["same"]),
        (["--labels", "labels.pkl"], 2, ["labels.pkl", "no such file"]),
        (["--labels", LABELS, "--templates", "a {colour} {}"], 2, ["exactly one", "{colour}"]),
        (
            ["--labels", LABELS, "--mode", "papper", "--captions", "STORE"],
            2,
            ["Did you mean 'paper'"],
        ),
        (["--labels", LABELS, "--mode", "paper"], 2, ["needs captions"]),
        (["--labels", LABELS, "--json", "--csv"], 2, ["--json and --csv"]),
        (["--labels", LABELS, "--templates", "simpel"], 2, ["Did you mean 'simple'"]),
        (["--labels", LABELS, "--captions", "nowhere"], 1, ["nowhere"]),
    ],
)
def test_wrong_calls(
    world: World, store: Path, photos: Path, words: list[str], code: int, said: list[str]
) -> None:
    given = [str(store) if word == "STORE" else word for word in words]
    lagotto("classify", photos, "--encoder", world.encoder, *given).refused(code, *said)


def test_no_pictures(world: World, tmp_path: Path) -> None:
    common = ("--labels", LABELS, "--encoder", world.encoder)
    (tmp_path / "empty").mkdir()
    lagotto("classify", tmp_path / "empty", *common).refused(2, "no pictures in")
    lagotto("classify", tmp_path / "nothere", *common).refused(2, "no such file")


def test_the_encoder_of_the_store_or_of_the_hub_need_not_be_given(
    store: Path, photos: Path, world: World
) -> None:
    for voice in (("--captions", store), ("--hub", world.hub)):
        common = ("classify", photos, "--labels", LABELS, *voice, "--json")
        named, unnamed = lagotto(*common, "--encoder", world.encoder).json, lagotto(*common).json
        assert unnamed["images"] == named["images"]
        assert unnamed["encoder"] == named["encoder"]
    lagotto("classify", photos, "--labels", LABELS).refused(2, "no encoder", "--encoder FOLDER")


def test_eval_takes_the_encoder_of_the_store_or_of_the_hub(
    store: Path, world: World, tmp_path: Path
) -> None:
    for name in ("red", "green"):
        (tmp_path / name).mkdir()
        picture(name, 7).save(tmp_path / name / "one.png")
    for voice in (("--captions", store), ("--hub", world.hub)):
        common = ("eval", "classification", tmp_path, *voice, "--json")
        unnamed, named = lagotto(*common).json, lagotto(*common, "--encoder", world.encoder).json
        assert [unnamed[key] for key in unnamed if key != "elapsed_s"] == [
            named[key] for key in named if key != "elapsed_s"
        ]
    lagotto("eval", "classification", tmp_path).refused(2, "no encoder")


def test_a_store_of_another_encoder(store: Path, photos: Path, tmp_path: Path) -> None:
    other = write_encoder(tmp_path / "other", sharpness=3.0)
    copied = shutil.copytree(store, tmp_path / "store")
    lagotto(
        "classify", photos, "--labels", LABELS, "--captions", copied, "--encoder", other
    ).refused(1, "encoder")
