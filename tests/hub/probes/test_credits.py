"""What sources state of their pictures reaches the probes: licence, author and origin."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from lagotto.core.sources.credits import credit_of_row
from lagotto.core.types import NO_CREDIT, Credit
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.hub.probes.sources import read_probe_source

ANN = Credit("CC BY 4.0", "Ann", "https://pictures.org/1")
STATED = {"licensename": "CC BY 4.0", "unickname": "Ann", "pageurl": "https://pictures.org/1"}


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def credits(path: Path) -> list[Credit]:
    return [item.credit for item in read_probe_source(path)]


def test_a_cell_that_says_nothing_states_nothing() -> None:
    assert credit_of_row({"license": 4, "author": None, "url": ["x"]}) == NO_CREDIT
    assert credit_of_row({"license": "unknown", "author": "Ann"}) == Credit("", "Ann")
    assert credit_of_row({"author": "a\x1b[2J\u202eb\ud800" + "c" * 999}).author.startswith("a[2Jb")
    assert len(credit_of_row({"author": "c" * 999}).author) == 300


def test_each_form_of_source_states_it(tmp_path: Path) -> None:
    columns = {key: [value, None] for key, value in STATED.items()}
    pq.write_table(pa.table({"image": [png(1), png(2)], **columns}), tmp_path / "p.parquet")
    assert credits(tmp_path / "p.parquet") == [ANN, NO_CREDIT]
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, data in (("1.png", png(1)), ("1.json", json.dumps(STATED).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert credits(tmp_path / "t.tar") == [ANN]
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "1.png").write_bytes(png(1))
    (folder / "2.png").write_bytes(png(2))
    lines = [{"file_name": "1.png", **STATED}, {"file_name": "2.png", "text": "a dog"}]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert credits(folder / "metadata.jsonl") == [ANN, NO_CREDIT]
    (folder / "broken.json").write_text("[" * 99_999)
    (folder / "broken.csv").write_bytes(b"file,license\n\xff\xfe,\x00\n1.png\n")
    assert credits(folder) == [ANN, NO_CREDIT]
    probes, _ = ProbeSet.create(tmp_path / "set", [folder])
    assert [probe.credit for probe in ProbeSet.open(tmp_path / "set").probes] == [ANN, NO_CREDIT]
    assert probes.probes[0].captions == ()
    written = (tmp_path / "set" / "probes.jsonl").read_text().splitlines()
    assert set(json.loads(written[2])) == {"captions", "digest", "source"}  # as before


def test_coco_names_licences_by_number(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(1))
    (tmp_path / "2.png").write_bytes(png(2))
    images = [
        {"id": 1, "file_name": "1.png", "license": 4, "coco_url": "https://pictures.org/1"},
        {"id": 2, "file_name": "2.png", "license": 9},
    ]
    listed = {"images": images, "licenses": [{"id": 4, "name": "CC BY 4.0", "url": "x"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(listed))
    assert credits(tmp_path) == [Credit("CC BY 4.0", "", "https://pictures.org/1"), NO_CREDIT]
