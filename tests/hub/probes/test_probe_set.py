"""The stored probe set: golden bytes, digests, refusals, damage."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import HubError, ProbeError, UsageError
from lagotto.core.types import Probe
from lagotto.hub.probes.probe_set import (
    ProbeSet,
    probe_set_digest,
    read_header,
)


def ppm(*colour: int) -> bytes:
    """A picture whose bytes depend on no encoder."""
    return b"P6 8 8 255\n" + bytes(colour) * 64


def tiny(folder: Path) -> Path:
    """A manifest of three pictures, one of them twice, with one torn and one missing."""
    photos = folder / "tiny"
    (photos / "images").mkdir(parents=True)
    for name, data in {
        "red.ppm": ppm(255, 0, 0),
        "green.ppm": ppm(0, 255, 0),
        "blue.ppm": ppm(0, 0, 255),
        "copy.ppm": ppm(255, 0, 0),
        "torn.ppm": b"",
    }.items():
        (photos / "images" / name).write_bytes(data)
    rows = [
        ("red", ["a red square", "so réd"]),
        ("torn", []),
        ("blue", ["blue"]),
        ("copy", ["scarlet"]),
        ("gone", []),
        ("green", []),
    ]
    lines = [{"image": f"images/{name}.ppm", "captions": said} for name, said in rows]
    manifest = photos / "captions.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return manifest


GOLDEN_PROBES = (
    '{"count":3,"digest":"@SET@","format":"lagotto-probes","version":1}\n'
    '{"captions":["a red square","so r\\u00e9d","scarlet"],"digest":"@RED@",'
    '"source":"tiny/images/red.ppm"}\n'
    '{"captions":["blue"],"digest":"@BLUE@","source":"tiny/images/blue.ppm"}\n'
    '{"captions":[],"digest":"@GREEN@","source":"tiny/images/green.ppm"}\n'
)
GOLDEN_DIGESTS = {
    "@SET@": "4521e0344dbeaef5b517b61f4af547f60a65e14897aae3ef72077bac1859a39b",
    "@RED@": "e83fe39f3572006bc760cc6672212cde8b832dcb75ee34cea170d13efb060673",
    "@BLUE@": "66c064b5938e6c3a680891e0cf22ed60dab8d4dca3669cf7c9118e4d9b7a7e64",
    "@GREEN@": "2b2f5d69b76ab48bf8ed256920fa1593ffcaf643cff77011c7c11602f6e99178",
}
GOLDEN_ASIDE = (
    '{"reason":"an empty file","source":"tiny/images/torn.ppm"}\n'
    '{"reason":"the same picture as tiny/images/red.ppm","source":"tiny/images/copy.ppm"}\n'
    '{"reason":"no such file","source":"tiny/images/gone.ppm"}\n'
)
GOLDEN_COUNT = '{"passed_over":{},"seen":6,"skipped":3,"taken":3}'


def test_golden_bytes(tmp_path: Path) -> None:
    made, aside = ProbeSet.create(tmp_path / "set", [tiny(tmp_path)])
    expected = GOLDEN_PROBES
    for mark, digest in GOLDEN_DIGESTS.items():
        expected = expected.replace(mark, digest)
    assert (tmp_path / "set" / "probes.jsonl").read_text() == expected
    assert (tmp_path / "set" / "set_aside.jsonl").read_text() == GOLDEN_ASIDE
    assert (tmp_path / "set" / "source_count.json").read_text() == GOLDEN_COUNT
    red = GOLDEN_DIGESTS["@RED@"]
    assert (tmp_path / "set" / "pictures" / red[:2] / red).read_bytes() == ppm(255, 0, 0)
    files = [path for path in (tmp_path / "set").rglob("*") if path.is_file()]
    assert len(files) == 6
    assert [each.reason for each in aside] == [each.reason for each in made.skipped()]


def test_open_gives_what_create_gave(tmp_path: Path) -> None:
    made, _ = ProbeSet.create(tmp_path / "set", [tiny(tmp_path)])
    opened = ProbeSet.open(tmp_path / "set")
    assert opened == made
    assert read_header(tmp_path / "set").digest == made.digest
    assert read_header(tmp_path / "set").count == 3
    assert [opened.picture(i) for i in range(3)] == [
        ppm(255, 0, 0),
        ppm(0, 0, 255),
        ppm(0, 255, 0),
    ]
    assert opened.verify() == []


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    manifest = tiny(tmp_path)
    for name in ("one", "two"):
        ProbeSet.create(tmp_path / name, [manifest], max_probes=2, seed=5)
    for file in ("probes.jsonl", "set_aside.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_order_in_which_files_were_made_does_not_matter(tmp_path: Path) -> None:
    names = [f"{number:02d}.ppm" for number in range(30)]
    lists = []
    for folder, order in (("one", names), ("two", names[::-1])):
        photos = tmp_path / folder / "photos"
        photos.mkdir(parents=True)
        for name in order:
            (photos / name).write_bytes(ppm(int(name[:2]), 0, 0))
        ProbeSet.create(tmp_path / folder / "set", [photos], max_probes=10, seed=1)
        lists.append((tmp_path / folder / "set" / "probes.jsonl").read_bytes())
    assert lists[0] == lists[1]


def test_several_sources_and_kinds_keep_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.ppm").write_bytes(ppm(9, 9, 9))
    table = pa.table({"image": [ppm(7, 7, 7), ppm(255, 0, 0)], "caption": ["seven", "red again"]})
    pq.write_table(table, tmp_path / "more.parquet")
    told: list[tuple[int, int]] = []
    made, aside = ProbeSet.create(
        tmp_path / "set",
        [tmp_path / "more.parquet", folder, tiny(tmp_path)],
        on_progress=lambda found, most: told.append((found, most)),
    )
    assert [probe.source for probe in made.probes] == [
        "more.parquet#0",
        "more.parquet#1",
        "photos/a.ppm",
        "tiny/images/blue.ppm",
        "tiny/images/green.ppm",
    ]
    assert made.probes[1].captions == ("red again", "a red square", "so réd", "scarlet")
    assert len(aside) == 4
    assert told[-1] == (5, 9)


DIGESTS = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=2, unique=True)


@given(DIGESTS, st.data())
def test_the_digest_is_of_content_and_order_alone(digests: list[str], data: st.DataObject) -> None:
    digest = probe_set_digest([Probe(each, "a") for each in digests])
    assert digest == probe_set_digest([Probe(each, "b", ("c",)) for each in digests])
    assert digest == hashlib.sha256(bytes.fromhex("".join(digests))).hexdigest()
    other = data.draw(st.permutations(digests))
    assert (digest == probe_set_digest([Probe(each, "a") for each in other])) == (other == digests)
    assert digest != probe_set_digest([Probe(each, "a") for each in digests[:-1]])


@pytest.fixture
def stored(tmp_path: Path) -> ProbeSet:
    return ProbeSet.create(tmp_path / "set", [tiny(tmp_path)])[0]


def picture_file(probe_set: ProbeSet, index: int) -> Path:
    digest = probe_set.probes[index].digest
    return probe_set.folder / "pictures" / digest[:2] / digest


def test_verify_names_damaged_and_missing_pictures(stored: ProbeSet) -> None:
    picture_file(stored, 0).write_bytes(ppm(254, 0, 0))
    picture_file(stored, 2).unlink()
    found = stored.verify()
    assert len(found) == 2
    assert found[0].startswith("probe 0 (tiny/images/red.ppm), pictures/")
    assert found[0].endswith(": altered")
    assert found[1].startswith("probe 2 (tiny/images/green.ppm), pictures/")
    assert found[1].endswith(": missing")
    with pytest.raises(HubError, match=r"probe 0 \(tiny/images/red.ppm\) was altered"):
        stored.picture(0)
    with pytest.raises(HubError, match=r"probe 2 \(tiny/images/green.ppm\) is missing"):
        stored.picture(2)


def altered(lines: list[bytes], kind: str) -> list[bytes]:
    header, first, second, third = lines
    return {
        "order": [header, second, first, third],
        "dropped": [header, first, second],
        "replaced": [header, first, first, third],
        "not JSON": [header, first, second, third[:-9]],
        "foreign path": [header, first, second, b'{"captions":[],"digest":"../x","source":"a"}'],
        "no header": [first, second, third],
        "empty": [],
    }[kind]


@pytest.mark.parametrize(
    "kind", ["order", "dropped", "replaced", "not JSON", "foreign path", "no header", "empty"]
)
def test_an_altered_list_is_refused_and_named(stored: ProbeSet, kind: str) -> None:
    path = stored.folder / "probes.jsonl"
    path.write_bytes(b"\n".join(altered(path.read_bytes().splitlines(), kind)))
    with pytest.raises(HubError, match=r"probes\.jsonl (was altered|is damaged)"):
        ProbeSet.open(stored.folder)
    assert any("probes.jsonl" in line for line in stored.verify())


def test_another_list_than_the_one_opened_is_named(stored: ProbeSet, tmp_path: Path) -> None:
    manifest = tmp_path / "tiny" / "captions.jsonl"
    ProbeSet.create(tmp_path / "other", [manifest], max_probes=2)
    shutil.copy(tmp_path / "other" / "probes.jsonl", stored.folder / "probes.jsonl")
    assert stored.verify() == ["probes.jsonl: holds another probe set than the one opened"]


def test_a_newer_version_is_refused(stored: ProbeSet) -> None:
    path = stored.folder / "probes.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    with pytest.raises(HubError, match=r"version 2 and this Lagotto reads up to 1; upgrade"):
        ProbeSet.open(stored.folder)


def test_no_set_there(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="no probe set at"):
        ProbeSet.open(tmp_path)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    manifest = tiny(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HubError, match=r"cannot write .*Not a directory; check the path"):
        ProbeSet.create(tmp_path / "file", [manifest])
    locked = tmp_path / "locked"
    locked.mkdir()
    with read_only(locked):
        try:
            (locked / "probe").mkdir()
            pytest.skip("this user may write anywhere")
        except PermissionError:
            pass
        with pytest.raises(HubError, match="Permission denied; choose a folder"):
            ProbeSet.create(locked, [manifest])


def test_a_second_set_in_one_folder_is_refused(stored: ProbeSet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a probe set already"):
        ProbeSet.create(stored.folder, [tmp_path / "tiny" / "captions.jsonl"])


def test_no_usable_source(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ProbeError, match=r"no pictures in .*empty; give a place"):
        ProbeSet.create(tmp_path / "set", [empty])
    with pytest.raises(UsageError, match="no probes given"):
        ProbeSet.create(tmp_path / "set", [])
    with pytest.raises(UsageError, match="no such file or folder"):
        ProbeSet.create(tmp_path / "set", [tmp_path / "none"])
    (empty / "a.jpg").write_bytes(b"")
    with pytest.raises(ProbeError, match=r"none can be used .*empty/a.jpg: an empty file"):
        ProbeSet.create(tmp_path / "set", [empty])
    assert not (tmp_path / "set" / "probes.jsonl").exists()


@pytest.mark.real
def test_real_captioned_photos(assets: Path, tmp_path: Path) -> None:
    sources = [assets / "photos" / name / "captions.jsonl" for name in ("flickr8k", "coco")]
    made, aside = ProbeSet.create(tmp_path / "set", sources)
    assert len(made.probes) == 1239
    assert aside == []
    assert all(probe.captions for probe in made.probes)
    assert made.verify() == []
