"""Names as a caller gives them (a list, a comma list, a file) come in; one name list goes out."""

import re
from pathlib import Path

from lagotto.core.arguments.one_or_many import OneNameOrMany, collect
from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import (
    LIST_ENDINGS,
    NameList,
    parse_name_list,
    read_name_list,
)

TYPED = "typed list"
"""The form of a list that the caller wrote as an argument, not in a file."""

_ALLOWED = "give a list of names, a comma list, or a file of names (.txt, .csv, .json, .yaml)"
_OTHER_ENDINGS = (
    *(".xml", ".xls", ".xlsx", ".ods", ".doc", ".docx", ".pdf", ".htm", ".html", ".md", ".rst"),
    *(".toml", ".ini", ".cfg", ".conf", ".py", ".ipynb", ".pkl", ".pickle", ".npz"),
    *(".pt", ".pth", ".onnx", ".tflite", ".h5", ".parquet", ".arrow", ".mat", ".db", ".sqlite"),
    *(".zip", ".gz", ".tar", ".tgz", ".7z", ".bz2", ".xz", ".zst", ".dat", ".data", ".log"),
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"),
)
_FILE_ENDINGS = (*(ending for ending in LIST_ENDINGS if ending), *_OTHER_ENDINGS)
_ROOT = re.compile(r"(~|\.{1,2})?[/\\]|[A-Za-z]:[/\\]|file:|https?:")


def as_names(given: OneNameOrMany, what: str) -> tuple[str, ...]:
    """The names of an argument that takes one string or many, as `as_name_list` reads them.

    Returns:
        At least one name, in order, without the gaps of a numbered list. A name that stands twice
        in a file is given once.

    Example:
        >>> as_names("daisy, rose", "labels")
        ('daisy', 'rose')
        >>> as_names(["Salem, Oregon"], "labels")
        ('Salem, Oregon',)
    """
    return each_name_once(as_name_list(given, what)).present


def each_name_once(names: NameList) -> NameList:
    """A list from a file without its gaps and repeated names, and with a note on the latter.

    A list that the caller typed is left as it is: there a repeated name is a mistake.
    """
    if names.form == TYPED:
        return names
    once = tuple(dict.fromkeys(names.present))
    repeated = len(names.present) - len(once)
    notes = (f"{repeated} repeated {'name was' if repeated == 1 else 'names were'} left out",)
    return NameList(once, names.form, names.notes + (notes if repeated else ()))


def as_name_list(given: OneNameOrMany, what: str) -> NameList:
    """The list of names of an argument that takes one string or many.

    One string is a comma list, unless a file has this name: then the file is read, in any form of
    `read_name_list`. A Path is always such a file. The items of a list are names as they are,
    commas and all. A set has no order, so its names are sorted.

    Args:
        given: A comma list, a file, or an iterable of names.
        what: What is named, in the plural, for messages: "labels".

    Raises:
        UsageError: If no name is given, something that is no text, a file that cannot be read, or a
            string that is plainly the path of a file which is not there.
    """
    if isinstance(given, Path):
        return _read(given, what)
    if isinstance(given, str):
        if (file := named_file(given)) is not None:
            return _read(file, what)
        check_no_path(given, what)
        bare = given.strip()
        if "\n" in bare or (bare[:1] in ("[", "{") and bare[-1:] in ("]", "}")):
            return parse_name_list(bare.encode("utf-8", "replace"), ".txt", f"{what} {bare[:40]!r}")
        given = [part.strip() for part in given.split(",") if part.strip()]
    return NameList(collect(given, str, what, _ALLOWED), TYPED)


def named_file(text: str) -> Path | None:
    """The file that a text names; None if there is none."""
    try:
        path = Path(text).expanduser()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long for a name, a zero byte, no such user
        return None


def check_no_path(text: str, what: str) -> None:
    """Refuses a text that is plainly the path of a file or folder, so that no path becomes a name.

    A path begins like one ("./", "~/", "C:\\"), ends like a file of names or of a common kind, or
    has a slash and no comma. "tv/monitor, chair" is a comma list.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    ends = any(part.lower().endswith(_FILE_ENDINGS) for part in parts)
    slashed = len(parts) == 1 and ("/" in text or "\\" in text)
    if not ends and not slashed and not _ROOT.match(text.strip()):
        return
    if ends and len(parts) > 1 and named_file(parts[-1]) is not None:
        raise UsageError(f"{what} {text[:80]!r} are several files; give one")
    reason = "is a folder" if len(parts) == 1 and _is_folder(parts[0]) else "no such file"
    raise UsageError(f"{what} {text[:80]!r}: {reason}; {_ALLOWED}")


def _is_folder(text: str) -> bool:
    try:
        return Path(text).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):
        return False


def _read(file: Path, what: str) -> NameList:
    try:
        return read_name_list(file)
    except UsageError as error:
        raise UsageError(f"{what} {error}") from error
