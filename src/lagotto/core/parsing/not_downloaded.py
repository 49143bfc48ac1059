"""The first bytes of a file come in; what lies there in place of the file goes out, in words.

A clone without Git LFS, a saved web page, an answer of a server, a download that was cut off and an
archive that was not unpacked all leave a file of the right name and the wrong content. Readers ask
here once their own format is not found, so that their message names the cause. A reader of plain
text asks first, since any bytes are a text to it.
"""

import json
import re
from pathlib import Path

from lagotto.core.types import JsonValue

HEAD_BYTES = 4096
"""Bytes from the start of a file that tell what lies there."""

_AGAIN = "download the file itself"
_LFS = re.compile(r"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/")
_LFS_SIZE = re.compile(r"^size (\d{1,15})\s*$", re.MULTILINE)
_ANNEX = re.compile(r"(?:/annex/objects/|(?:\.\./)*\.git/annex/objects/)")
_LINK = re.compile(r"\.\.?/[^\r\n]{1,1000}\r?\n?")
_COMMENT = re.compile(r"\s*<!--.*?(?:-->|\Z)", re.DOTALL)
_PROLOGUE = re.compile(r"\s*<\?xml[^>]*>", re.IGNORECASE)
_PAGE = re.compile(
    r"\s*<(?:!doctype\s+html|html|head|body|title|meta|script|style|center|h1|h2)\b", re.IGNORECASE
)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_REFUSAL = re.compile(r"\s*<(?:\w+:)?Error(?:Response|s)?[\s>]")
_XML_TEXT = re.compile(r"<(?:Message|Code|message|code)>([^<]{1,200})")
_SENTENCE = re.compile(
    r"(?:404:? )?(?:not found|(?:entry|repository|file|page|object) not found)"
    r"|(?:found|moved permanently|see other|temporary redirect)\. redirecting to .*"
    r"|(?:40[13]:? )?(?:access denied|forbidden|unauthorized|bad credentials)"
    r"|error code: \d{3,4}|no such key|the specified key does not exist"
    r"|(?:429:? )?(?:too many requests|rate limit(?: was)? exceeded)"
    r"|(?:50[0-4]:? )?(?:internal server error|bad gateway|service unavailable|gateway time-?out)"
    r"|invalid (?:username or password|credentials in authorization header)"
    r"|access to (?:model|dataset) .{1,200} is restricted.*"
    r"|cannot access gated repo.*"
    r"|couldn't find the requested file.*|package size exceeded the configured limit.*",
    re.IGNORECASE | re.DOTALL,
)
_ANSWER_TEXTS = ("error", "message", "msg", "detail", "errors", "error_description")
_ANSWER_KEYS = frozenset(
    {
        *_ANSWER_TEXTS,
        *("details", "status", "statuscode", "status_code", "statustext", "code", "title", "type"),
        *("documentation_url", "url", "path", "instance", "request_id", "requestid", "timestamp"),
        *("success", "ok", "reason", "error_code", "error_type", "errorcode", "traceid", "data"),
    }
)
"""Keys of an answer that says an error and nothing else, in lower case."""

_ARCHIVES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive; unpack it first (unzip)"),
    (b"PK\x05\x06", "an empty zip archive; download it again"),
    (b"\x1f\x8b", "compressed by gzip; unpack it first (gunzip)"),
    (b"BZh", "compressed by bzip2; unpack it first (bunzip2)"),
    (b"\xfd7zXZ\0", "compressed by xz; unpack it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first (unzstd)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras saves weights; export the model to ONNX"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!\x1a\x07", "a rar archive; unpack it first"),
)
_SHOWN = 80


def what_lies_there(head: bytes) -> str | None:
    """What lies in place of a file, as the rest of a sentence that starts with "FILE is ".

    Args:
        head: The first HEAD_BYTES bytes of the file, or all of a shorter one.

    Returns:
        A clause such as "a Git LFS pointer, not the file itself (98563211 bytes are elsewhere);
        run `git lfs pull`, or download the file itself". None if the bytes are nothing that a
        download or a clone leaves in place of a file.

    Example:
        >>> what_lies_there(b"Entry not found")
        "a server's answer ('Entry not found'), not the file itself; download the file itself"
    """
    if not head:
        return "empty (0 bytes); download or export it again"
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = head.decode(encoding, errors="replace")
    if "\0" in text:
        return _packed(head)
    return _pointer(text) or _packed(head) or _answer(text)


def what_lies_at(file: Path) -> str | None:
    """The clause of `what_lies_there` for a file on disk.

    None also if it cannot be read, or is no regular file: a pipe would be waited for.
    """
    try:
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            return what_lies_there(stream.read(HEAD_BYTES))
    except OSError:
        return None


def _pointer(whole: str) -> str | None:
    """What a tool leaves that keeps large files apart, or a link that was stored as text."""
    text = whole.lstrip()
    if _LFS.match(text):
        size = _LFS_SIZE.search(text)
        elsewhere = f" ({int(size[1])} bytes are elsewhere)" if size else ""
        return f"a Git LFS pointer, not the file itself{elsewhere}; run `git lfs pull`, or {_AGAIN}"
    if text.startswith("# xet version"):
        return f"a Xet pointer, not the file itself; {_AGAIN}"
    if _ANNEX.match(text):
        return f"a git-annex pointer, not the file itself; run `git annex get`, or {_AGAIN}"
    if _LINK.fullmatch(whole):
        target = _shown(whole)
        return f"the text of a link ({target}), not the file itself; copy the file it points to"
    if text.startswith("[InternetShortcut]"):
        return f"a shortcut of Windows, not the file itself; {_AGAIN}"
    return None


def _packed(head: bytes) -> str | None:
    """An archive, or bytes of zero alone."""
    if len(head) >= 16 and not head.strip(b"\0"):
        return f"filled with zeros, as a download that was cut off leaves it; {_AGAIN}"
    if head.startswith(b"\0\x05\x16\x07"):
        return f"what macOS keeps beside a file (AppleDouble), not the file itself; {_AGAIN}"
    if head.startswith(b"PK\x03\x04") and b"/data.pkl" in head[:200]:
        return "a checkpoint of PyTorch under another name; call it .pt"
    return next((clause for mark, clause in _ARCHIVES if head.startswith(mark)), None)


def _answer(text: str) -> str | None:
    """A web page, or the answer by which a server refused a download."""
    body = _PROLOGUE.sub("", text, count=1)
    while (comment := _COMMENT.match(body)) is not None:
        body = body[comment.end() :]
    if _PAGE.match(body):
        title = _TITLE.search(text)
        named = f" ({_shown(title[1])})" if title and title[1].strip() else ""
        return f"a saved web page{named}, not the file itself; {_AGAIN}"
    said = _xml_refusal(body) or _json_refusal(text) or _sentence(text)
    return said and f"a server's answer ({said}), not the file itself; {_AGAIN}"


def _xml_refusal(body: str) -> str | None:
    if not _REFUSAL.match(body):
        return None
    message = _XML_TEXT.search(body)
    return _shown(message[1] if message else "an error in XML")


def _json_refusal(text: str) -> str | None:
    """What a JSON object says that holds nothing but keys of an error."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    lower = {key.lower(): item for key, item in value.items()}
    if not _ANSWER_KEYS.issuperset(lower):
        return None
    texts = (item for key in _ANSWER_TEXTS if isinstance(item := lower.get(key), str | list | dict))
    first = next(texts, None)
    return None if first is None else _shown(first if isinstance(first, str) else json.dumps(first))


def _sentence(text: str) -> str | None:
    line = text.strip()
    return _shown(line) if _SENTENCE.fullmatch(line.rstrip(".")) else None


def _shown(text: str) -> str:
    """A stranger's text in quotes: one line of printable ASCII, cut if it is long."""
    line = " ".join(text.split())
    return ascii(line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}...")
