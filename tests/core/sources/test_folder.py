"""A folder as people have it: which files are pictures, and a count in which none is missing."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.sources.count import SourceCount, add_counts
from lagotto.core.sources.folder import count_rest, list_pictures, refuse_outside


def jpeg() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16, 16)).save(data, "JPEG")
    return data.getvalue()


def put(folder: Path, *names: str, data: bytes = b"text") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_pictures_are_told_by_ending_or_first_bytes(tmp_path: Path) -> None:
    taken = ["a.jpg", "b.jfif", "c.HEIC", "d.avif", "e.jxl", "f.svg", "noending"]
    taken += ["x.jpg_large", "x.JPG.download", "sub/y.0001"]
    put(tmp_path, *taken, data=jpeg())
    put(tmp_path, "README", "labels.json", "a.txt", "Thumbs.db", "sub/odd.0002")
    put(tmp_path, ".DS_Store", ".thumbs/a.jpg", "__MACOSX/._a.jpg", "@eaDir/a.jpg")
    found = list_pictures(tmp_path, UsageError)
    assert [path.relative_to(tmp_path).as_posix() for path in found.pictures] == sorted(taken)
    assert found.passed_over == {
        "without an ending": 1, ".json": 1, ".txt": 1, ".db": 1, ".0002": 1,
        "hidden file": 1, "in a hidden folder": 1, "in a folder of the system": 2,
    }  # fmt: skip
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(found.pictures) + sum(found.passed_over.values()) == len(everything)
    assert count_rest(found, [tmp_path / "a.txt"])[".jpg"] == 1
    assert ".txt" not in count_rest(found, [tmp_path / "a.txt"])


def test_links_stay_inside(tmp_path: Path) -> None:
    folder, outside = tmp_path / "photos", tmp_path / "private"
    put(folder, "a.jpg", data=jpeg())
    put(outside, "b.jpg", "c.txt", data=jpeg())
    os.symlink(folder / "a.jpg", folder / "again.jpg")
    os.symlink(outside / "b.jpg", folder / "b.jpg")
    os.symlink(outside / "c.txt", folder / "c.txt")
    os.symlink(outside, folder / "linked")
    found = list_pictures(folder, UsageError)
    assert [path.name for path in found.pictures] == ["a.jpg", "again.jpg"]
    assert [path.name for path in found.outside] == ["b.jpg"]
    assert found.passed_over == {"link out of the folder": 1, "linked folder": 1}
    with pytest.raises(PictureError, match="leaves the folder"):
        refuse_outside()


def test_a_snapshot_of_the_hub_holds_its_blobs(tmp_path: Path) -> None:
    repository = tmp_path / "datasets--org--name"
    put(repository, "blobs/f00", data=jpeg())
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    os.symlink("../../blobs/f00", snapshot / "a.jpg")
    assert [path.name for path in list_pictures(snapshot, UsageError).pictures] == ["a.jpg"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = list_pictures(tmp_path, UsageError)
    assert (found.pictures, found.passed_over) == ((), {"without an ending": 1})


def test_the_count_in_one_line() -> None:
    kinds = {f".k{number}": number for number in range(9)}
    count = SourceCount(1000, 2, kinds)
    assert str(count) == (
        "1,038 seen: 1,000 taken, 2 skipped, 36 passed over "
        "(8 .k8, 7 .k7, 6 .k6, 5 .k5, 4 .k4, 3 .k3, 3 of other kinds)"
    )
    assert str(SourceCount()) == "0 seen: 0 taken, 0 skipped, none passed over"


@given(
    st.integers(0, 9), st.integers(0, 9), st.dictionaries(st.text(max_size=3), st.integers(0, 9))
)
def test_nothing_is_missing_in_a_count(taken: int, skipped: int, kinds: dict[str, int]) -> None:
    shown = SourceCount(taken, skipped, kinds).as_json()
    assert isinstance(shown["passed_over"], dict)
    assert shown["seen"] == taken + skipped + sum(shown["passed_over"].values())
    assert add_counts([kinds, kinds]) == {kind: 2 * number for kind, number in kinds.items()}
