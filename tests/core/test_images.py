"""Pictures of every awkward kind, planted, and pixels compared with what Pillow gives directly."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from lagotto.core import images
from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import covering_size, decode_picture, read_picture_file, to_pixels
from lagotto.core.types import PixelSpec

RED = (200, 30, 40)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def gradient(width: int = 40, height: int = 24) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1)
    return Image.fromarray(values.astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that only claims its size: reading its pixels would fail."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def chunks_changed(data: bytes, changed: dict[bytes, bytes | None]) -> bytes:
    """A PNG with the bodies of some chunks replaced (None: left out), checksums valid."""
    result, at = data[:8], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size
        new = changed.get(name, body)
        if new is not None:
            check = struct.pack(">I", zlib.crc32(name + new))
            result += struct.pack(">I", len(new)) + name + new + check
    return result


def near(picture: Image.Image, colour: tuple[int, int, int], tolerance: int = 3) -> bool:
    assert picture.mode == "RGB"
    return bool((np.abs(np.asarray(picture).astype(int) - colour) <= tolerance).all())


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_their_pixels(kind: str) -> None:
    decoded = decode_picture(encoded(gradient(), kind))
    assert decoded.mode == "RGB"
    assert np.array_equal(np.asarray(decoded), np.asarray(gradient()))


def test_jpeg_is_what_pillow_decodes() -> None:
    data = encoded(gradient(), "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(np.asarray(decode_picture(data)), expected)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(kind: str) -> None:
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert near(decode_picture(encoded(picture, kind)), (255, 0, 0))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 128)).convert(mode)
    assert near(decode_picture(encoded(picture, "PNG")), (127, 127, 127))


def test_transparent_colour_of_an_rgb_png_is_white() -> None:
    data = encoded(Image.new("RGB", (16, 16), RED), "PNG", transparency=RED)
    assert near(decode_picture(data), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_transparency(kind: str) -> None:
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([0, 0, 0, *RED])
    picture.paste(1, (0, 0, 16, 8))
    decoded = decode_picture(encoded(picture, kind, transparency=0))
    assert decoded.getpixel((3, 3)) == RED
    assert decoded.getpixel((3, 12)) == (255, 255, 255)


def test_one_bit() -> None:
    picture = Image.new("1", (16, 16), 1)
    assert near(decode_picture(encoded(picture, "PNG")), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    given = values.astype(np.int32) if kind == "PPM" else values  # as Pillow before 11.3 writes it
    decoded = np.asarray(decode_picture(encoded(Image.fromarray(given), kind)))
    assert np.array_equal(decoded[..., 0], np.rint(values / 257.0).astype(np.uint8))


def test_a_dark_sixteen_bit_picture_stays_dark() -> None:
    values = np.full((16, 16), 200, dtype=np.uint16)
    assert near(decode_picture(encoded(Image.fromarray(values), "PNG")), (1, 1, 1), 0)


@pytest.mark.parametrize(
    ("values", "level"),
    [
        (np.full((16, 16), 0.5, np.float32), 128),
        (np.full((16, 16), 100.0, np.float32), 100),
        (np.full((16, 16), 257.0 * 9, np.float32), 9),
        (np.full((16, 16), 77, np.int32), 77),
        (np.full((16, 16), 257 * 77, np.int32), 77),
    ],
)
def test_float_and_32_bit_grey(values: np.ndarray, level: int) -> None:
    decoded = decode_picture(encoded(Image.fromarray(values), "TIFF"))
    assert near(decoded, (level, level, level), 0)


def test_values_of_no_known_scale_span_the_range() -> None:
    values = np.linspace(-5e6, 1e9, 256).astype(np.float32).reshape(16, 16)
    decoded = np.asarray(decode_picture(encoded(Image.fromarray(values), "TIFF")))[..., 0]
    assert (decoded.min(), decoded.max()) == (0, 255)


def test_not_finite_is_refused() -> None:
    values = np.full((16, 16), np.nan, np.float32)
    with pytest.raises(PictureError, match="not finite"):
        decode_picture(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.n_frames == 3
    assert near(decode_picture(data), RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (40, 24), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 20, 12))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[274] = orientation
    decoded = decode_picture(encoded(stored, kind, exif=exif))
    assert decoded.size == (40, 24)
    corners = [decoded.getpixel(at)[0] > 127 for at in ((4, 4), (36, 4), (4, 20), (36, 20))]
    assert corners == [True, False, False, False]


def test_unreadable_exif_leaves_the_picture_as_stored() -> None:
    data = encoded(gradient(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_picture(data).size == (40, 24)
    data = chunks_changed(
        encoded(gradient(), "PNG", exif=b"II*\0"), {b"eXIf": b"nothing like TIFF"}
    )
    assert decode_picture(data).size == (40, 24)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_truncated_is_refused(kind: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with pytest.raises(PictureError) as caught:
        decode_picture(data[: int(len(data) * part)])
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"hello, I am a text", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"\xff\xd8\xff", "not a picture|damaged"),
        (png_header(11_000, 10_000), "11000x10000 pixels; at most 100,000,000"),
        (png_header(9_990, 9_999), "damaged"),
        (png_header(100_000, 100_000), "over 100,000,000 pixels"),
        (png_header(0, 10), "pixels|damaged|not a picture"),
        (encoded(Image.new("RGB", (7, 40)), "PNG"), "at least 8 a side"),
        (encoded(Image.new("RGB", (8, 401)), "PNG"), "at most 50 times"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        decode_picture(data)


PALETTE_PNG = encoded(Image.new("P", (16, 16)), "PNG")


@pytest.mark.parametrize(
    "data",
    [
        chunks_changed(PALETTE_PNG, {b"IHDR": b"\0\0"}),  # Pillow raises ValueError
        chunks_changed(PALETTE_PNG, {b"PLTE": None}),  # AssertionError
        chunks_changed(PALETTE_PNG, {b"IDAT": b"not deflate"}),  # OSError
        chunks_changed(PALETTE_PNG, {b"IDAT": b"\x78\x9c", b"IEND": None})
        + b"\0\0\0\4\xff\xff\xff\xff",  # SyntaxError
        b"P6 8 eight 255\n" + bytes(192),  # ValueError
    ],
    ids=["short header", "no palette", "not deflate", "chunk name", "not a number"],
)
def test_damage_of_each_kind_is_a_picture_error(data: bytes) -> None:
    with pytest.raises(PictureError, match="damaged"):
        decode_picture(data)


def test_formats_outside_the_list_are_not_tried() -> None:
    with pytest.raises(PictureError, match="not a picture"):
        decode_picture(encoded(gradient(), "ICO"))


def test_too_many_bytes_are_refused_before_decoding() -> None:
    data = encoded(gradient(), "BMP") + bytes(images.MAX_PICTURE_BYTES)
    with pytest.raises(PictureError, match="64 MiB; at most 64 are read"):
        decode_picture(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_never_raises_anything_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"]))
    content = bytearray(encoded(gradient(), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_picture(bytes(content))
    except PictureError:
        return
    assert decoded.mode == "RGB"


def test_read_picture_file(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"abc")
    assert read_picture_file(file) == b"abc"
    for bad, reason in ((tmp_path / "none", "no such file"), (tmp_path, "not a regular file")):
        with pytest.raises(PictureError, match=reason):
            read_picture_file(bad)
    with file.open("r+b") as opened:
        opened.truncate(images.MAX_PICTURE_BYTES + 1)
    with pytest.raises(PictureError, match="MiB"):
        read_picture_file(file)


SPECS = st.builds(
    PixelSpec,
    height=st.integers(1, 64),
    width=st.integers(1, 64),
    grey=st.booleans(),
    resize=st.sampled_from(["crop", "stretch"]),
    crop_fraction=st.sampled_from([1.0, 0.875, 0.95, 0.5]),
    resample=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
)


@settings(max_examples=150, deadline=None)
@given(st.integers(8, 120), st.integers(8, 120), SPECS)
def test_pixels_have_the_shape_of_the_spec(width: int, height: int, spec: PixelSpec) -> None:
    pixels = to_pixels(gradient(width, height), spec)
    assert pixels.shape == spec.shape
    assert pixels.dtype == np.uint8
    covering = covering_size((width, height), spec)
    assert covering[0] >= spec.width
    assert covering[1] >= spec.height


@settings(max_examples=100, deadline=None)
@given(st.integers(8, 300), st.integers(8, 300), st.integers(1, 64))
def test_crop_is_that_of_the_clip_image_processor(width: int, height: int, size: int) -> None:
    picture = gradient(width, height)
    # Its rule in its own words: the shortest edge becomes `size`, the longest keeps the aspect.
    short, long = min(width, height), max(width, height)
    longest = int(size * long / short)
    resized = picture.resize(
        (size, longest) if width <= height else (longest, size), Image.Resampling.BICUBIC
    )
    values = np.asarray(resized)
    top, left = (values.shape[0] - size) // 2, (values.shape[1] - size) // 2
    expected = values[top : top + size, left : left + size]
    spec = PixelSpec(size, size, resample="bicubic")
    assert np.array_equal(to_pixels(picture, spec), expected)


def test_crop_fraction_resizes_further_and_cuts_the_centre() -> None:
    picture = gradient(100, 80)
    resized = np.asarray(picture.resize((320, 256), Image.Resampling.BILINEAR))
    pixels = to_pixels(picture, PixelSpec(224, 224, crop_fraction=0.875))
    assert np.array_equal(pixels, resized[16:240, 48:272])


def test_a_wide_target_is_covered_with_the_aspect_kept() -> None:
    assert covering_size((100, 100), PixelSpec(32, 64)) == (64, 64)
    assert covering_size((400, 100), PixelSpec(32, 64)) == (128, 32)


def test_stretch_and_grey_are_pillows() -> None:
    picture = gradient(50, 30)
    pixels = to_pixels(picture, PixelSpec(20, 10, resize="stretch", resample="lanczos"))
    assert np.array_equal(pixels, np.asarray(picture.resize((10, 20), Image.Resampling.LANCZOS)))
    grey = to_pixels(picture, PixelSpec(20, 10, grey=True, resize="stretch"))
    expected = picture.convert("L").resize((10, 20), Image.Resampling.BILINEAR)
    assert np.array_equal(grey[..., 0], np.asarray(expected))


@pytest.mark.parametrize("fraction", [0.0, 1.5, -1.0])
def test_crop_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        to_pixels(gradient(), PixelSpec(8, 8, crop_fraction=fraction))
