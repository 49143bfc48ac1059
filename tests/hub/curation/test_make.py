"""Probe sets that are made: they cover what there is, without repeats, and tell what they show."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import colour_world
from colour_world import World
from command_line import lagotto
from lagotto.core.errors import ProbeError, UsageError
from lagotto.core.progress import Silent
from lagotto.hub.curation.check import check_probes, find_repeats
from lagotto.hub.curation.choose import choose_covering
from lagotto.hub.curation.dead_leaves import draw_dead_leaves
from lagotto.hub.curation.exclusion import exclude
from lagotto.hub.curation.make import SetOptions, check_pictures, make_probes
from lagotto.hub.hub import Hub
from lagotto.hub.query.probe_weights import ProbeSpace

FILES = {"set.parquet", "report.json", "contact_sheet.pdf", "licences.txt"}


def space(seed: int = 0, pictures: int = 60, words: int = 12, dim: int = 16) -> ProbeSpace:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(pictures + words, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return ProbeSpace(rows[:pictures], rows[pictures:], 10.0)


def test_a_set_is_made_and_serves_as_probes(world: World, tmp_path: Path) -> None:
    options = SetOptions(licence="CC0-1.0", author="me")
    made = make_probes(tmp_path / "set", world.pictures, 16, str(world.encoder), options)
    assert (made.probes, made.candidates, made.repeats) == (8, 72, 64)  # a colour is one picture
    assert {path.name for path in (tmp_path / "set").iterdir()} == FILES
    rows = pq.read_table(tmp_path / "set" / "set.parquet").to_pylist()
    colours = {row["path"].split("_")[1].partition(".")[0] for row in rows}
    assert colours == set(colour_world.NAMES)
    assert {(row["author"], row["licence"]) for row in rows} == {("me", "CC0-1.0")}
    assert rows[0]["image"][8:12] == b"WEBP"
    assert (tmp_path / "set" / "licences.txt").read_text() == "8\tCC0-1.0\tpictures\n"
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert report["unread"] == [
        {"source": "pictures/zz_broken.png", "reason": report["unread"][0]["reason"]}
    ]
    assert len(report["coverage"]) == report["check"]["words"]
    again = make_probes(tmp_path / "again" / "set", world.pictures, 16, str(world.encoder), options)
    assert again.licences == {"CC0-1.0": 8}
    for name in FILES:
        same = (tmp_path / "again" / "set" / name).read_bytes()
        assert same == (tmp_path / "set" / name).read_bytes(), name
    hub = Hub.create(tmp_path / "hub", tmp_path / "set", str(world.encoder))
    assert len(hub.probes) == 8
    assert hub.check_probes(["red", "green"]).shown == 2


def test_dead_leaves_are_drawn_from_a_seed(tmp_path: Path) -> None:
    made = make_probes(tmp_path / "leaves", "dead-leaves", 3, options=SetOptions(seed=5))
    assert made.licences == {"CC0-1.0": 3}
    rows = pq.read_table(tmp_path / "leaves" / "leaves.parquet").to_pylist()
    assert len({row["image"] for row in rows}) == 3
    first, other = draw_dead_leaves(5), draw_dead_leaves(6)
    assert np.array_equal(np.asarray(first), np.asarray(draw_dead_leaves(5)))
    assert not np.array_equal(np.asarray(first), np.asarray(other))
    grey = np.asarray(first.convert("L"), dtype=np.float64)
    assert grey.std() > 15
    assert np.abs(np.diff(grey, axis=1)).mean() < grey.std()


def test_the_choice_covers_has_no_repeats_and_grows_by_its_end() -> None:
    given = space()
    doubled = ProbeSpace(
        np.concatenate([given.probes, given.probes[:20]]), given.background, given.logit_scale
    )
    allowed = np.ones(80, dtype=bool)
    allowed[3] = False
    choice = choose_covering(doubled, allowed, 70, Silent())
    assert len(choice.chosen) == 60
    assert choice.repeats == 19
    assert 3 not in choice.chosen
    assert 63 in choice.chosen
    small = choose_covering(doubled, allowed, 10, Silent())
    assert small.chosen == choice.chosen[:10]


def test_what_is_excluded_is_nearer_to_a_sentence_than_to_every_noun() -> None:
    cosines = np.array([[0.9, 0.1, 0.4], [0.1, 0.9, 0.4]], np.float32)
    nouns = np.array([0.5, 0.8, 0.6], np.float32)
    assert exclude(cosines, nouns, ["a face", "unsafe"]) == ("a face", "unsafe", "")


def test_a_check_tells_shown_words_idle_probes_and_repeats() -> None:
    given = space(1)
    check = check_probes(given, [str(n) for n in range(12)], given.background)
    posterior = np.exp(given.log_posterior(given.background))
    assert [word.probability for word in check.words] == pytest.approx(posterior.max(axis=1))
    assert check.shown == int((posterior.max(axis=1) >= 0.1).sum())
    assert check.idle == tuple(np.flatnonzero(posterior.max(axis=0) < 0.02).tolist())
    rows = np.concatenate([given.probes, given.probes[4:5]])
    assert find_repeats(rows) == ((60, 4),)
    assert check.needed >= 0


def test_bad_input(world: World, tmp_path: Path) -> None:
    encoder = str(world.encoder)
    with pytest.raises(UsageError, match="exists already"):
        make_probes(tmp_path, world.pictures, 5, encoder)
    with pytest.raises(UsageError, match="size 1 is too small"):
        make_probes(tmp_path / "x", world.pictures, 1, encoder)
    with pytest.raises(UsageError, match="drawn, not chosen; give it alone"):
        make_probes(tmp_path / "x", ["dead-leaves", str(world.pictures)], 5, encoder)
    with pytest.raises(UsageError, match="no probes at"):
        make_probes(tmp_path / "x", tmp_path / "nowhere", 5, encoder)
    same = tmp_path / "same"
    same.mkdir()
    for number in range(3):
        Image.new("RGB", (32, 32), "red").save(same / f"{number}.png")
    with pytest.raises(ProbeError, match=r"1 can be used .*the same picture as"):
        make_probes(tmp_path / "x", same, 5, encoder, SetOptions(accept=True))
    assert not (tmp_path / "x").exists()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_commands(world: World, tmp_path: Path) -> None:
    out = tmp_path / "set"
    make = ("probes", "make", out, "--from", world.pictures, "--encoder", world.encoder)
    lagotto(*make, "--size", "10").refused(2, "no licence is stated for 73 of 73", "--accept")
    assert not out.exists()
    made = lagotto(*make, "--size", "10", "--accept")
    assert made.code == 0, made.err
    assert "8 pictures chosen of 72" in made.out
    assert "may miss most of them: look at the pictures\nbefore you publish the set" in made.err
    checked = lagotto("probes", "check", world.hub, "--vocabulary", "red,blue,truffle", "--json")
    assert [word["word"] for word in checked.json["coverage"]] == ["red", "blue", "truffle"]
    of_set = lagotto("probes", "check", out, "--encoder", world.encoder)
    assert "8 probes show" in of_set.out
    lagotto("probes", "check", out).refused(2, "is no hub", "--encoder")
    shutil.rmtree(out)
    answer = lagotto(*make, "--size", "10", "--json", "--accept").json
    assert answer["probes"] == 8
    assert check_pictures(out, str(world.encoder)).probes == 8


def test_a_licence_of_a_row_goes_before_what_the_user_states(world: World, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for colour in ("red", "green", "blue"):
        shutil.copy(next(world.pictures.glob(f"*_{colour}.png")), given / f"{colour}.png")
    (given / "photos.csv").write_text(
        "file_name,Photographer,license,page_url\nred.png,Ann,CC BY 4.0,https://pictures.org/1\n"
    )
    coco = {
        "images": [{"id": 1, "file_name": "green.png", "license": 4}],
        "licenses": [{"id": 4, "name": "CC BY-NC", "url": "http://a.org"}],
    }
    (given / "instances.json").write_text(json.dumps(coco))
    with pytest.raises(UsageError, match=r"no licence is stated for 1 of 3 pictures \(given/blue"):
        make_probes(tmp_path / "set", given, 3, str(world.encoder))
    options = SetOptions(licence="mine", author="me")
    made = make_probes(tmp_path / "set", given, 3, str(world.encoder), options)
    assert made.licences == {"CC BY 4.0": 1, "CC BY-NC": 1, "mine": 1}
    table = pq.read_table(tmp_path / "set" / "set.parquet").to_pylist()
    rows = {row["path"]: (row["licence"], row["author"], row["source"]) for row in table}
    assert rows == {
        "given/red.png": ("CC BY 4.0", "Ann", "https://pictures.org/1"),
        "given/green.png": ("CC BY-NC", "me", "given/green.png"),
        "given/blue.png": ("mine", "me", "given/blue.png"),
    }
    assert "1\tCC BY 4.0\tpictures.org\n" in (tmp_path / "set" / "licences.txt").read_text()
    hub = Hub.create(tmp_path / "hub", tmp_path / "set", str(world.encoder))  # the hub keeps them
    kept = {probe.credit.licence for probe in Hub.open(hub.folder, str(world.encoder)).probes}
    assert kept == {"CC BY 4.0", "CC BY-NC", "mine"}
