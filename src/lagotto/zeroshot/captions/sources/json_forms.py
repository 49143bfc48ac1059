"""A json file with captions comes in; what it holds goes out: rows, in one of the known forms.

A small file is parsed here: the values of a text take at most some thirty times its bytes. A large
one is parsed by a worker with a limit of memory, which writes the rows to a file.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from lagotto.core.errors import CaptionError
from lagotto.core.parsing.captioned_tables import (
    is_path,
    parse_captioned_row,
    parse_captions,
    storable,
)
from lagotto.core.types import JsonObject, JsonValue, Skipped
from lagotto.jobs.tables.worker import TableError, TableWorker, table_worker
from lagotto.zeroshot.captions.sources.coco import coco_rows, picture_names
from lagotto.zeroshot.captions.sources.pairs import PairRow

MAX_JSON_BYTES = 2**30
SMALL_JSON_BYTES = 2**24
MAX_NO_PAIRS = 1_000_000
"""Entries of a large file that give no pair: with more of them it is no file of captions."""

_LIST_KEYS = ("annotations", "data", "rows", "items", "captions", "samples", "images")
_TASK = "lagotto.zeroshot.captions.sources.json_forms:write_json_rows"
JsonRows = Callable[[], Iterator[PairRow | Skipped]]


@dataclass(frozen=True, slots=True)
class JsonTable:
    """The rows of a json file.

    `count` is the number of its entries. `is_annotated` says that it has a key "annotations",
    `lists_images` that it has a list "images". Where a picture is given as a folder and a name,
    `rows_without_folders` have the name alone.
    """

    count: int
    rows: JsonRows
    rows_without_folders: JsonRows
    is_annotated: bool
    lists_images: bool


def parse_json_table(path: Path) -> JsonTable | None:
    """What a json file holds; None for a file with one object a line.

    Raises:
        CaptionError: The file cannot be read, is no JSON, or has no form that is read.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CaptionError(f"cannot read {path}: {error.strerror}; check the file") from error
    if size > MAX_JSON_BYTES:
        raise CaptionError(
            f"{path} is {size / 2**30:.1f} GiB; a json file is read whole, up to "
            f"{MAX_JSON_BYTES // 2**30} GiB; write it as jsonl, one picture a line"
        )
    return _parse(path) if size <= SMALL_JSON_BYTES else _parse_in_worker(path)


def _parse(path: Path) -> JsonTable | None:
    content = _read(path)
    if content is None:
        return None
    count, rows = _rows_of(path, content)
    plain = partial(_rows_of, path, content, with_folders=False)
    return JsonTable(
        count,
        rows,
        lambda: plain()[1](),
        isinstance(content, dict) and "annotations" in content,
        isinstance(content, dict) and isinstance(content.get("images"), list),
    )


def _parse_in_worker(path: Path) -> JsonTable | None:
    worker = table_worker()
    files: dict[bool, _RowFile] = {}

    def ask(with_folders: bool) -> JsonObject:
        out = worker.new_file()
        payload: JsonObject = {
            "path": str(path.absolute()),
            "folders": with_folders,
            "out": str(out),
        }
        try:
            answer = worker.ask(_TASK, payload)
        except TableError as error:
            clause = str(error)
            if not clause.startswith(str(path.absolute())):
                clause = f"{path} {error}"
            raise CaptionError(clause) from error
        files[with_folders] = _RowFile(out, worker)
        return answer

    def plain_rows() -> Iterator[PairRow | Skipped]:
        if False not in files:
            ask(False)
        return files[False].read()

    match ask(True):
        case {"lines": True}:
            return None
        case {"count": int(count), "annotated": bool(annotated), "images": bool(images)}:
            return JsonTable(count, files[True].read, plain_rows, annotated, images)
    raise CaptionError(f"cannot read {path}: its worker gave no answer that fits; try again")


class _RowFile:
    """A file of rows that a worker wrote; it goes when nobody holds it, with its worker."""

    def __init__(self, file: Path, worker: TableWorker) -> None:
        self._file = file
        self._worker = worker

    def __del__(self) -> None:
        self._file.unlink(missing_ok=True)

    def read(self) -> Iterator[PairRow | Skipped]:
        """The rows, one line at a time."""
        with self._file.open("rb") as lines:
            for line in lines:
                match json.loads(line):
                    case [str(picture), str(name), list(captions)] if all(
                        isinstance(text, str) for text in captions
                    ):
                        yield picture, name, tuple(map(str, captions))
                    case [str(source), str(reason)]:
                        yield Skipped(source, reason)
                    case _:
                        raise CaptionError("a worker gave rows that are none; try again")


def write_json_rows(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """The task: {"path", "folders", "out"} to {"count", "annotated", "images"}, rows in `out`.

    {"lines": true} stands for a file with one object a line, {"refused": why} for no captions.
    """
    path = Path(str(payload["path"]))
    try:
        content = _read(path)
        if content is None:
            return {"lines": True}
        count, rows = _rows_of(path, content, bool(payload["folders"]))
    except CaptionError as error:
        return {"refused": str(error)}
    skipped = 0
    with Path(str(payload["out"])).open("w", encoding="utf-8") as out:
        for row in rows():
            if isinstance(row, Skipped):
                skipped += 1
                if skipped > MAX_NO_PAIRS:
                    return {
                        "refused": f"holds over {MAX_NO_PAIRS:,} entries that give no pair, the "
                        f"last: {row.source} {row.reason}; is it a file of captions?"
                    }
                out.write(json.dumps([row.source, row.reason]) + "\n")
            else:
                out.write(json.dumps([row[0], row[1], [*row[2]]]) + "\n")
    has = content if isinstance(content, dict) else {}
    return {
        "count": count,
        "annotated": "annotations" in has,
        "images": isinstance(has.get("images"), list),
    }


def _read(path: Path) -> JsonValue:
    """The content of a file; None for one with an object a line. Raises CaptionError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptionError(f"cannot read {path}: {error.strerror}; check the file") from error
    try:
        content: JsonValue = json.loads(data)
    except (ValueError, RecursionError) as error:
        if _is_object(data.partition(b"\n")[0]):
            return None
        raise CaptionError(
            f"caption file {path} is not JSON: {error}; restore it or write it anew"
        ) from error
    return content


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _rows_of(path: Path, content: JsonValue, with_folders: bool = True) -> tuple[int, JsonRows]:
    """(number of entries, a function that gives the rows) of the form that a file has."""
    name = path.name
    if isinstance(content, list):
        return len(content), partial(_list_rows, name, content)
    if isinstance(content, dict):
        pictures, annotations = content.get("images"), content.get("annotations")
        if isinstance(pictures, list) and isinstance(annotations, list):
            if any(isinstance(entry, dict) and "caption" in entry for entry in annotations[:50]):
                names, bad = picture_names(name, pictures)
                return len(names) + len(bad), partial(coco_rows, name, pictures, annotations)
        elif content and all(is_path(key) for key in islice(content, 50)):
            return len(content), partial(_map_rows, name, content)
        else:
            lists = [key for key in _LIST_KEYS if isinstance(content.get(key), list)]
            for key in lists:
                entries = content[key]
                if isinstance(entries, list) and _has_captions(entries):
                    return len(entries), partial(_list_rows, f"{name} {key}", entries, with_folders)
    keys = type(content).__name__
    if isinstance(content, dict):
        keys = ", ".join(ascii(key)[1:-1] for key in sorted(content))[:200] or "nothing"
    raise CaptionError(
        f"{path} is no file of captions: it holds {keys} and needs the lists images and "
        "annotations as COCO has them, or a list of objects with image and caption; give .jsonl "
        "for other forms"
    )


def _has_captions(entries: list[JsonValue]) -> bool:
    """Whether one of the first entries has a caption."""
    for entry in entries[:50]:
        try:
            if isinstance(entry, dict) and parse_captioned_row({**entry})[1]:
                return True
        except ValueError:
            continue
    return False


def _list_rows(
    name: str, entries: list[JsonValue], with_folders: bool = True
) -> Iterator[PairRow | Skipped]:
    """One row an object. Karpathy's `filepath` is a folder and goes in front of its `filename`."""
    for number, entry in enumerate(entries):
        where = f"{storable(name)}[{number}]"
        if not isinstance(entry, dict):
            yield Skipped(where, "is not an object; each entry needs image and caption")
            continue
        row: dict[str, object] = {**entry}
        folder, file_name = row.get("filepath"), row.get("filename")
        if isinstance(folder, str) and isinstance(file_name, str):
            row.pop("filepath")
            row["filename"] = f"{folder}/{file_name}" if folder and with_folders else file_name
        try:
            picture, captions = parse_captioned_row(row)
        except ValueError as error:
            yield Skipped(where, str(error))
        else:
            yield picture or "", where, captions


def _map_rows(name: str, content: dict[str, JsonValue]) -> Iterator[PairRow | Skipped]:
    """One row a picture of a map from pictures to captions."""
    for key, value in content.items():
        where = f"{storable(name)} {storable(key)[:200]}"
        try:
            captions = parse_captions(value)
        except TypeError:
            yield Skipped(where, "has captions that are neither a text nor a list of texts")
        else:
            yield (key, where, captions) if key and "\0" not in key else Skipped(where, "no name")
