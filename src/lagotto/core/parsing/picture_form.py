"""The first bytes of a file come in; the form of picture that it holds, if any, goes out."""

SIGNATURE_BYTES = 64
"""First bytes of a file that are enough to tell its form."""

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "PSD"),
    (b"qoif", "QOI"),
    (b"gimp xcf", "XCF"),
    (b"v/1\x01", "OpenEXR"),
    (b"DDS ", "DDS"),
    (b"#?RADIANCE", "HDR"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIU\0", "camera raw"),
    (b"IIRO", "camera raw"),
)
_BRANDS = (
    ("AVIF", {b"avif", b"avis"}),
    ("HEIF", {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"msf1"}),
    ("camera raw", {b"crx "}),
)
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def picture_form(head: bytes) -> str | None:
    """The form of the picture that begins with some bytes, by its signature; None for no picture.

    The forms that Pillow knows have Pillow's names. Others ("camera raw", "PSD") are named so that
    a message can say what a file is.

    Args:
        head: The first SIGNATURE_BYTES bytes of a file, or fewer if it is shorter.

    >>> picture_form(b"GIF89a" + bytes(10))
    'GIF'
    """
    if head[8:10] == b"CR" and head[:4] == b"II*\0":
        return "camera raw"
    for start, form in _STARTS:
        if head.startswith(start):
            return form
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    is_pnm = head[:1] == b"P" and head[1:2] in b"123456" and len(head) > 3
    if is_pnm and head[2:3].isspace() and (head[3:4].isdigit() or head[3:4] in b"# \n"):
        return "PPM"
    return None


def _by_brand(head: bytes) -> str | None:
    """The form of an ISO base media file: by its major brand, else by its compatible ones."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, size - 3, 4))]
    major = next((form for form, names in _BRANDS if brands[0] in names), None)
    # "mif1" is the general brand of both AVIF and HEIC: the other brands decide.
    if major is None or brands[0] in (b"mif1", b"msf1"):
        others = set(brands)
        return next((form for form, names in _BRANDS if others & names), None)
    return major
