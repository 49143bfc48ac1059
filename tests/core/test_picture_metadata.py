"""Metadata never costs a picture, and never costs much: profiles, texts, bombs, wrong endings."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from lagotto.core import images
from lagotto.core.errors import PictureError
from lagotto.core.images import decode_picture, read_picture_file
from lagotto.core.parsing.picture_form import picture_form
from lagotto.core.parsing.picture_metadata import count_jpeg_scans, png_without_metadata

PIXELS = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)


AVIF = pytest.param(
    "AVIF",
    marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF"),
)


def file_of(kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(PIXELS).save(data, kind, **options)
    return data.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(*chunks: bytes) -> bytes:
    """A PNG with further chunks behind its header."""
    data = file_of("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


BOMB = zlib.compress(bytes(128 << 20), 1)
NOISE = np.random.default_rng(1).integers(0, 255, 1_600_000, np.uint8).tobytes()
LARGE = {
    "a profile": chunk(b"iCCP", b"ICC\0\0" + zlib.compress(NOISE)),
    "a workflow": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"node": 1}' * 120_000)),
    "a packet": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<rdf/>" * 250_000)),
    "plain text": chunk(b"tEXt", b"prompt\0" + b"a dog, " * 200_000),
    "a damaged profile": chunk(b"iCCP", b"ICC\0\0junk"),
    "a damaged text": chunk(b"zTXt", b"Raw profile type exif\0\0junk"),
    "an odd size": chunk(b"pHYs", b"\0"),
    "a wrong checksum": chunk(b"tIME", b"\0" * 7)[:-1] + b"x",
}


@pytest.mark.parametrize("kind", LARGE)
def test_metadata_of_a_png_never_costs_the_picture(kind: str) -> None:
    decoded = decode_picture(with_chunks(LARGE[kind]))
    assert np.array_equal(np.asarray(decoded), PIXELS)


@pytest.mark.parametrize(
    "start",
    [
        b"zTXtComment\0\0",
        b"zTXtRaw profile type exif\0\0",
        b"iTXtXML:com.adobe.xmp\0\1\0\0\0",
        b"iCCPICC\0\0",
    ],
)
def test_a_bomb_in_metadata_stays_packed(start: bytes) -> None:
    body = start[4:] + BOMB
    data = with_chunks(*(chunk(start[:4], body) for _ in range(80)))  # ten gigabytes in all
    tracemalloc.start()
    decoded = decode_picture(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(np.asarray(decoded), PIXELS)
    assert peak < 4 * len(data) + 8 * 2**20


def test_too_many_chunks_are_refused() -> None:
    with pytest.raises(PictureError, match="over 200,000 chunks"):
        decode_picture(with_chunks(chunk(b"tEXt", b"") * 200_001))


def test_a_png_without_metadata_is_not_copied() -> None:
    data = file_of("PNG")
    assert png_without_metadata(data) is data
    assert png_without_metadata(data[:50]) == data[:50]


@pytest.mark.parametrize("place", ["exif", "text", "packet"])
def test_the_orientation_of_a_png_is_read_where_it_stands(place: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    raw = exif.tobytes()
    as_hex = b"\nexif\n%d\n" % len(raw) + raw.hex().encode() + b"\n"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    placed = {
        "exif": chunk(b"eXIf", raw.removeprefix(b"Exif\0\0")),
        "text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(as_hex)),
        "packet": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    }
    turned = decode_picture(with_chunks(LARGE["a workflow"], placed[place]))
    assert turned.size == (24, 32)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", AVIF])
def test_every_form_is_turned_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    assert decode_picture(file_of(kind, exif=exif.tobytes())).size == (24, 32)


def test_scans_are_not_counted_in_a_profile() -> None:
    data = file_of("JPEG", icc_profile=b"\xff\xda" * 400_000)
    assert count_jpeg_scans(data) == 1
    assert decode_picture(data).size == (32, 24)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", AVIF])
def test_the_first_bytes_tell_the_form(kind: str) -> None:
    assert picture_form(file_of(kind)[:64]) == kind


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", None),
        (b"\xff\x0a" + bytes(9), "JXL"),
        (b"8BPS", "PSD"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera raw"),
        (b"P5 is a paper size", None),
        (b"BMW, Audi", None),
        (b"", None),
    ],
)
def test_signatures(head: bytes, form: str | None) -> None:
    assert picture_form(head) == form


def test_pictures_that_need_something_more_say_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'pillow_heif'", name="pillow_heif")

    monkeypatch.setattr("importlib.import_module", missing)
    monkeypatch.setattr(images.features, "check", lambda _: False)
    for data, said in (
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(90), r"pip install 'lagotto\[heif\]'"),
        (b"\xff\x0a" + bytes(90), "pip install pillow-jxl-plugin"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avif" + bytes(90), "pip install --upgrade pillow"),
    ):
        with pytest.raises(PictureError, match=said):
            decode_picture(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"8BPS" + bytes(90), "of the form PSD, which is not read"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html><head></head></html>", "saved web page"),
        (b"no picture", "not a picture"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, said: str) -> None:
    with pytest.raises(PictureError, match=said):
        decode_picture(data)


def test_a_raw_file_is_not_its_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "a.NEF").write_bytes(file_of("TIFF"))
    with pytest.raises(PictureError, match=r"\.NEF pictures are not read"):
        read_picture_file(tmp_path / "a.NEF")
    (tmp_path / "a.tga").write_bytes(file_of("PNG"))
    assert decode_picture(read_picture_file(tmp_path / "a.tga")).size == (32, 24)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_an_ending_does_not_decide(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.jpg").write_bytes(file_of(kind))
    assert decode_picture(read_picture_file(tmp_path / "a.jpg")).size == (32, 24)


def test_a_picture_of_two_is_its_first() -> None:
    data = io.BytesIO()
    second = Image.new("RGB", (32, 24))
    Image.fromarray(PIXELS).save(data, "MPO", save_all=True, append_images=[second])
    first = decode_picture(data.getvalue())
    assert np.asarray(first).std() > 20
