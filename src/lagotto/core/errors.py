"""The errors that Lagotto raises on purpose, and what those of other libraries say in one line.

Every message says what was given, what is allowed, and what to do.
"""

import errno
import re
from pathlib import Path

_LONGEST_REASON = 300
_LONGEST_READ = 20_000
_RUNTIME_MARK = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_QUALIFIERS = re.compile(r"(?: const\b)?(?: \[with [^\]]*\])?")
_SOURCE_LINE = re.compile(r"/[^\s:]*onnxruntime/[^\s:]+\.(?:cc|h):\d+ ")


class LagottoError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(LagottoError):
    """The request cannot be met as given: an unknown name, a value out of range."""

    exit_code = 2


class MissingExtraError(LagottoError):
    """An optional dependency is not installed; the message holds the pip line."""


class EncoderError(LagottoError):
    """An encoder folder is incomplete or its graphs do not have the expected form."""


class ModelError(LagottoError):
    """A classifier cannot be read or run; a hub records the message as the reason."""


class SourceError(LagottoError):
    """A remote source cannot be fetched: it is missing, gated, unsafe or out of reach."""


class PictureError(LagottoError):
    """A picture cannot be decoded within the limits; the message is why it is skipped."""


class ProbeError(LagottoError):
    """A probe source gives no usable probe set."""


class CaptionError(LagottoError):
    """A caption source gives no usable pair, or a caption store is missing or damaged."""


class HubError(LagottoError):
    """A hub folder is missing, damaged, of another format version or cannot be written."""


class MismatchError(HubError):
    """Two artefacts were made with different encoders or on different probes; both are named."""


def help_page(error: LagottoError) -> str:
    """The page and the place on it that explain an error; the name is stable.

    Example:
        >>> help_page(UsageError("top is 0; give 1 or more"))
        'docs/reference/errors.md#usageerror'
    """
    public = next(kind for kind in type(error).__mro__ if kind.__module__ == __name__)
    return f"docs/reference/errors.md#{public.__name__.lower()}"


def unreadable(path: Path, error: OSError, kind: type[LagottoError]) -> LagottoError:
    """The error for a file that the system does not let be read; it says nothing of its content.

    Args:
        path: The file.
        error: What the system said.
        kind: The class of the error to make.
    """
    said = error.strerror or type(error).__name__
    remedy = advice_on(error) or "check the disk, and run the command again"
    return kind(f"cannot read {path}: {said}; {remedy}")


def advice_on(error: OSError) -> str:
    """What to do where the system refused a file whose content is not in doubt; "" if it did not.

    >>> advice_on(OSError(errno.EACCES, "Permission denied"))
    'make it readable for this user'
    """
    remedies = {
        errno.EMFILE: "allow this process more open files: ulimit -n 4096",
        errno.ENFILE: "close other programs: the system has no more open files",
        errno.EACCES: "make it readable for this user",
        errno.EPERM: "make it readable for this user",
    }
    return remedies.get(error.errno or 0, "")


def reason(error: BaseException) -> str:
    """The message of a foreign error in one line of at most 300 characters.

    A long one is cut in its middle. Places in the source of onnxruntime, with the signatures of its
    functions, are left out.
    """
    text = " ".join(shortened(str(error), _LONGEST_READ).split())
    return shortened(_without_source_lines(text) or type(error).__name__, _LONGEST_REASON)


def shortened(text: str, longest: int) -> str:
    """The text with at most `longest` characters, cut in the middle.

    The cause of an error, and what to do, stand at the end of a message. So its end stays, and a
    fifth from its start.

    Example:
        >>> shortened("the start and much more, then the cause", 28)
        'the s ... re, then the cause'
    """
    if len(text) <= longest:
        return text
    head = text[: longest // 5].rstrip()
    return f"{head} ... {text[len(head) + 5 - longest :].lstrip()}"


def _without_source_lines(text: str) -> str:
    text = _RUNTIME_MARK.sub("", text)
    kept = ""
    while (place := _SOURCE_LINE.search(text)) is not None:
        kept += text[: place.start()]
        text = text[_end_of_signature(text, place.end()) :].lstrip()
    return kept + text


def _end_of_signature(text: str, start: int) -> int:
    """Where a C++ signature such as `void f(int, g<h()>) const` ends; `start` if it is none."""
    opening = text.find("(", start)
    if opening < 0:
        return start
    depth = 0
    for position in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if not depth:
            following = _QUALIFIERS.match(text, position + 1)
            return following.end() if following else position + 1
    return start
