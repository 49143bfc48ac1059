"""The bytes of a picture file come in; the uint8 pixels for a model or an encoder go out.

Every picture is decoded here, so a probe, an example image and a picture to classify are treated
alike. Colour profiles are ignored, as in the training code of the models.
"""

import importlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, UnidentifiedImageError, features

from lagotto.core.arguments.extras import load_extra
from lagotto.core.errors import MissingExtraError, PictureError, UsageError
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_there
from lagotto.core.parsing.picture_form import SIGNATURE_BYTES, picture_form
from lagotto.core.parsing.picture_metadata import count_jpeg_scans, png_without_metadata
from lagotto.core.types import PixelSpec

IMAGE_SUFFIXES = frozenset(
    {".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs"}
    | {".hif", ".jfif", ".jfi", ".jif", ".jpe", ".jpeg", ".jpg", ".jps", ".jxl", ".mpo", ".pbm"}
    | {".pgm", ".pjp", ".pjpeg", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""File name endings (lower case) of pictures that are read, some of them with an extra."""

UNREAD_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dds", ".dng", ".eps", ".erf", ".exr", ".j2c"}
    | {".j2k", ".jp2", ".jpf", ".jpx", ".kdc", ".mef", ".mrw", ".nef", ".nrw", ".orf", ".pcx"}
    | {".pef", ".psd", ".qoi", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".svg", ".svgz"}
    | {".tga", ".wmf", ".x3f", ".xcf"}
)
"""File name endings of pictures that are not read: each gets a row with that reason."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""The decoders that are used; rarer ones add attack surface and have no users."""

_LATER_FORMATS = ("AVIF", "HEIF", "JXL")
"""Forms that some installations read: a decoder is asked for only where the file is of its form."""

MAX_PICTURE_BYTES = 64 * 2**20
MAX_PIXELS = 100_000_000
MAX_WEBP_PIXELS = 60_000_000
"""A WEBP takes some 24 bytes a pixel while it is decoded: canvases of an animation."""
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS
"""Pixels times scans of a progressive JPEG: each scan goes over the whole picture again."""
MIN_SIDE = 8
_STRIP_PIXELS = 4_000_000
MAX_ASPECT = 50

_RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 274

# The errors that Pillow's decoders raise on damaged files. MemoryError is not among them: whether a
# picture is usable must not depend on the machine.
_PILLOW_RAISES = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_picture_file(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        PictureError: It is missing, no regular file, empty, over MAX_PICTURE_BYTES, unreadable or
            of a kind in UNREAD_SUFFIXES.
    """
    try:
        if not path.exists():
            raise PictureError("no such file")
        if not path.is_file():
            raise PictureError("not a regular file")
        _check_bytes(path.stat().st_size)
        with path.open("rb") as file:
            data = file.read(MAX_PICTURE_BYTES + 1)  # it may have grown since
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror or type(error).__name__}") from error
    except ValueError as error:  # half a character, a zero byte
        raise PictureError("not a name that a file can have") from error
    _check_bytes(len(data))
    if path.suffix.lower() in UNREAD_SUFFIXES:
        # A camera's raw file is a TIFF whose first page is a thumbnail: that is not the picture.
        form = picture_form(data[:SIGNATURE_BYTES])
        if form is None or form == "TIFF" or form not in (*FORMATS, *_LATER_FORMATS):
            raise PictureError(f"{path.suffix} pictures are not read; save it as JPEG or PNG")
    return data


def decode_picture(data: bytes) -> Image.Image:
    """Decodes a picture: upright by its EXIF orientation, fully loaded, in mode RGB.

    Transparent parts become white. Of an animation the first frame is taken. Grey values of 16 or
    32 bits and floats are scaled, not clipped. Warning filters are changed while it runs, so call
    it from one thread at a time.

    Args:
        data: The bytes of a picture file in one of FORMATS.

    Raises:
        PictureError: The data is empty, no picture, truncated or damaged; it is over
            MAX_PICTURE_BYTES or MAX_PIXELS (checked before decoding) or under MIN_SIDE pixels a
            side; or one side is over MAX_ASPECT times the other (a centre crop would show nothing).
    """
    _check_bytes(len(data))
    form = picture_form(data[:SIGNATURE_BYTES])
    formats: tuple[str, ...] = FORMATS
    if form in _LATER_FORMATS:
        formats = (form,)
        _load_decoder(form)
    with warnings.catch_warnings():
        # Size is checked below, on every picture; other warnings are about metadata not used here.
        warnings.simplefilter("ignore")
        try:
            plain = png_without_metadata(data) if form == "PNG" else data
            with Image.open(io.BytesIO(plain), formats=formats) as picture:
                _check_size(*picture.size)
                if form == "WEBP":
                    _check_pixels(*picture.size, MAX_WEBP_PIXELS)
                if form == "JPEG":
                    _check_scans(data, *picture.size)
                picture.load()
                turn = _UPRIGHT.get(_orientation(picture))
                rgb = _to_rgb(picture)
        except UnidentifiedImageError as error:
            raise PictureError(_not_a_picture(data, form)) from error
        except Image.DecompressionBombError as error:
            raise PictureError(f"over {MAX_PIXELS:,} pixels; make it smaller") from error
        except _PILLOW_RAISES as error:
            first_line = (str(error).splitlines() or [""])[0]
            raise PictureError(f"damaged: {first_line or type(error).__name__}") from error
    return rgb if turn is None else rgb.transpose(turn)


def _load_decoder(form: str) -> None:
    """Registers the decoder of a form with Pillow; PictureError says what to install for it."""
    try:
        if form == "HEIF":
            load_extra("pillow_heif", "heif", "a HEIC picture").register_heif_opener()
        elif form == "JXL":
            importlib.import_module("pillow_jxl")
        elif not features.check("avif"):
            raise PictureError("an AVIF picture; to read it, run: pip install --upgrade pillow")
    except MissingExtraError as error:
        raise PictureError(str(error)) from error
    except ImportError as error:
        raise PictureError(
            "a JPEG XL picture; to read it, run: pip install pillow-jxl-plugin"
        ) from error


def _not_a_picture(data: bytes, form: str | None) -> str:
    """What a file is that no decoder took."""
    clause = what_lies_there(data[:HEAD_BYTES])
    if clause is not None:
        return clause
    if form is not None and form not in FORMATS:
        of_form = form if form in _LATER_FORMATS else f"{form}, which is not read"
        return f"a picture of the form {of_form}; save it as JPEG or PNG"
    return f"not a picture ({', '.join(FORMATS)} are read)"


def to_pixels(picture: Image.Image, spec: PixelSpec) -> UInt8[np.ndarray, "height width channels"]:
    """Resizes and crops a picture to uint8 pixels.

    `crop` scales the picture, keeping its aspect, until it just covers (height, width) /
    crop_fraction, and cuts out the centre. For a square and a fraction of 1 that is exactly what
    Hugging Face's CLIPImageProcessor does. `stretch` scales it to exactly that size.

    Args:
        picture: A picture in mode RGB, as `decode_picture` returns it.
        spec: The size, the resize rule and whether the pixels are grey.

    Returns:
        Pixels 0..255 of the shape `spec.shape`, in RGB or grey.

    Raises:
        UsageError: `spec.crop_fraction` is not above 0 and at most 1.
    """
    if spec.grey:
        picture = picture.convert("L")
    resample = _RESAMPLE[spec.resample]
    picture = picture.resize(covering_size(picture.size, spec), resample)
    if picture.size != (spec.width, spec.height):
        left = (picture.width - spec.width) // 2
        top = (picture.height - spec.height) // 2
        picture = picture.crop((left, top, left + spec.width, top + spec.height))
    return np.asarray(picture).reshape(spec.shape)


def covering_size(size: tuple[int, int], spec: PixelSpec) -> tuple[int, int]:
    """(width, height) to which a picture of this (width, height) is resized before the crop."""
    if not 0 < spec.crop_fraction <= 1:
        raise UsageError(
            f"crop_fraction {spec.crop_fraction:g} is not allowed; give one above 0 and at most 1"
        )
    width, height = size
    box_width = round(spec.width / spec.crop_fraction)
    box_height = round(spec.height / spec.crop_fraction)
    if spec.resize == "stretch":
        return box_width, box_height
    if box_width * height >= box_height * width:
        return box_width, int(box_width * height / width)
    return int(box_height * width / height), box_height


def _check_bytes(size: int) -> None:
    """Raises PictureError for an empty file or one over MAX_PICTURE_BYTES."""
    if size == 0:
        raise PictureError("an empty file")
    if size > MAX_PICTURE_BYTES:
        raise PictureError(
            f"{size / 2**20:,.0f} MiB; at most "
            f"{MAX_PICTURE_BYTES // 2**20} are read, make it smaller"
        )


def _check_size(width: int, height: int) -> None:
    """Raises PictureError for a picture that is too large, too small or too long."""
    _check_pixels(width, height, MAX_PIXELS)
    if min(width, height) < MIN_SIDE:
        raise PictureError(f"{width}x{height} pixels; at least {MIN_SIDE} a side are needed")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError(
            f"{width}x{height} pixels; one side may be at most {MAX_ASPECT} times the other"
        )


def _check_pixels(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise PictureError(
            f"{width}x{height} pixels; at most {most:,} in all are read, make it smaller"
        )


def _check_scans(data: bytes, width: int, height: int) -> None:
    """Raises PictureError for a JPEG of so many scans that decoding would take minutes."""
    scans = count_jpeg_scans(data)
    if scans * width * height > MAX_SCANNED_PIXELS:
        raise PictureError(
            f"{width}x{height} pixels in {scans} scans; save it with fewer, or smaller"
        )


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (as stored) if the metadata cannot be read.

    Call it after load(): a PNG may have it behind the pixels, and load() itself turns a TIFF.
    """
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except _PILLOW_RAISES:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(picture: Image.Image) -> Image.Image:
    """The loaded picture in mode RGB, whatever mode its file has."""
    if picture.mode.startswith(("I", "F")):
        return _eight_bits(picture).convert("RGB")
    if picture.has_transparency_data:
        straight = {"La": "LA", "RGBa": "RGBA"}.get(picture.mode)
        rgba = (picture.convert(straight) if straight else picture).convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A grey picture of 16 bits, 32 bits or floats scaled to mode L.

    The full scale of a 16-bit file is known. The other files do not state theirs: it is the
    smallest of 1 (floats), 255 and 65535 that holds every value, else the range of the values.
    """
    ranges = np.array([(part.min(), part.max()) for part in _strips(picture)], np.float64)
    low, high = float(ranges[:, 0].min()), float(ranges[:, 1].max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PictureError("holds values that are not finite")
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM"):
        scales = [65535.0]
    else:
        scales = [1.0, 255.0, 65535.0] if picture.mode == "F" else [255.0, 65535.0]
    fitting = [scale for scale in scales if low >= 0 and high <= scale]
    start, full = (0.0, fitting[0]) if fitting else (low, max(high - low, 1e-30))
    grey = Image.new("L", picture.size)
    top = 0
    for part in _strips(picture):
        levels = np.rint((part - np.float32(start)) * np.float32(255 / full))
        grey.paste(Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)), (0, top))
        top += len(part)
    return grey


def _strips(picture: Image.Image) -> Iterator[Float32[np.ndarray, "rows width"]]:
    """The values of a picture of wide pixels, some rows at a time: whole, they take gigabytes."""
    rows = max(1, _STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        part = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        yield np.asarray(part).astype(np.float32)
