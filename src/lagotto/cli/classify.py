"""`lagotto classify`: pictures → labels in words, with the captions that spoke for them."""

import csv
import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub import QUIET
from lagotto.cli.output import (
    notice,
    print_json,
    print_line,
    print_table,
    printable,
    spreadsheet_safe,
)
from lagotto.core.errors import LagottoError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from lagotto.core.types import JsonObject, SetAside
    from lagotto.zeroshot.base import Prediction
    from lagotto.zeroshot.pipeline import Classifier

_TABLE_ROWS = 64
"""Rows that are aligned together; more are printed in further tables, as they come."""


def classify(
    images: list[Path] = typer.Argument(metavar="IMAGES", help="Picture files or folders."),
    labels: str = typer.Option(
        ..., metavar="A,B,C|FILE", help="Comma list, text file (one a line) or .jsonl."
    ),
    encoder: str = typer.Option(
        ..., help="Folder with an ONNX dual encoder in the Hugging Face layout."
    ),
    captions: Path | None = typer.Option(None, metavar="STORE", help="A caption store."),
    k: int = typer.Option(16, min=1, help="Captions that vote for a picture."),
    mode: str | None = typer.Option(
        None,
        help="guarded, paper, paper-code, captions-only or image-only. "
        "[default: guarded, or image-only without captions]",
    ),
    templates: str = typer.Option(
        "single", metavar="NAME|FILE", help="single (the encoder's own), plain, simple, broad."
    ),
    approximate: bool = typer.Option(
        False, "--approximate", help="Search the indexes that `lagotto captions index` made."
    ),
    explain: Path | None = typer.Option(
        None, metavar="DIR", help="Write an HTML page a picture here."
    ),
    quiet: bool = QUIET,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    as_csv: bool = typer.Option(False, "--csv", help="Print one line of CSV a picture."),
) -> None:
    """Classify pictures by labels in words, without training.

    Example: lagotto classify photos/ --labels cat,dog,horse --encoder clip-onnx/
    """
    from lagotto.zeroshot.pictures import picture_files
    from lagotto.zeroshot.pipeline import Classifier

    if as_json and as_csv:
        raise UsageError("--json and --csv given; give one of them")
    files = picture_files(images)
    classifier = Classifier(
        encoder, labels, captions, mode=mode, k=k, templates=templates, approximate=approximate
    )
    for note in () if quiet else classifier.notes:
        notice(f"note: {printable(note)}")
    started = time.perf_counter()
    rows = _Rows(classifier, files, explain)
    if as_json:
        _print_json(classifier, rows, started)
    elif as_csv:
        _print_csv(classifier, rows)
    else:
        _print_tables(classifier, rows)
    if explain is not None and not quiet:
        notice(f"pages: {explain / 'index.html'}")
    if rows.unreadable:
        raise LagottoError(
            f"{rows.unreadable} of {len(files)} pictures could not be read; see their rows"
        )


class _Rows:
    """The classifier's rows, once; counts the unreadable and writes the pages as they pass."""

    def __init__(self, classifier: "Classifier", files: list[Path], explain: Path | None) -> None:
        self._classifier = classifier
        self._files = files
        self._explain = explain
        self.unreadable = 0

    def __iter__(self) -> "Iterator[Prediction | SetAside]":
        from lagotto.core.types import SetAside
        from lagotto.zeroshot.explain_page import ExplainPages

        names = [label.name for label in self._classifier.labels]
        with ExitStack() as stack:
            pages = None
            if self._explain is not None:
                pages = stack.enter_context(ExplainPages(self._explain, names))
            for row in self._classifier.predict(self._files):
                self.unreadable += isinstance(row, SetAside)
                if pages is not None:
                    pages.add(row)
                yield row


def _print_json(classifier: "Classifier", rows: _Rows, started: float) -> None:
    images = [_as_json(classifier, row) for row in rows]
    print_json(
        {
            "labels": [label.name for label in classifier.labels],
            "encoder": classifier.encoder.info.name,
            "mode": classifier.mode,
            "images": list(images),
            "elapsed_s": round(time.perf_counter() - started, 6),
        }
    )


def _as_json(classifier: "Classifier", row: "Prediction | SetAside") -> "JsonObject":
    from lagotto.core.types import SetAside

    if isinstance(row, SetAside):
        return {"path": row.source, "error": row.reason}
    answer: JsonObject = {
        "path": row.path,
        "label": _best(classifier, row.probabilities),
        "probabilities": [round(float(p), 6) for p in row.probabilities],
        "image_only": {
            "label": _best(classifier, row.image_only),
            "probabilities": [round(float(p), 6) for p in row.image_only],
        },
        "weights": {"image": round(row.weights[0], 6), "captions": round(row.weights[1], 6)},
        "captions": [
            {"text": each.text, "similarity": round(each.similarity, 6)} for each in row.captions
        ],
    }
    return answer | ({"declined": row.declined} if row.declined else {})


_COLUMNS = ("path", "label", "probability", "image_only", "image", "captions")


def _cells(classifier: "Classifier", row: "Prediction | SetAside") -> list[str]:
    from lagotto.core.types import SetAside

    if isinstance(row, SetAside):
        return [row.source, *[""] * 5, row.reason]
    best = int(row.probabilities.argmax())
    return [
        row.path,
        _best(classifier, row.probabilities),
        f"{row.probabilities[best]:.3f}",
        _best(classifier, row.image_only),
        f"{row.weights[0]:.2f}",
        f"{row.weights[1]:.2f}",
        row.declined,
    ]


def _print_tables(classifier: "Classifier", rows: _Rows) -> None:
    waiting: list[list[str]] = []
    for row in rows:
        waiting.append(_cells(classifier, row))
        if len(waiting) == _TABLE_ROWS:
            _print_table(waiting)
            waiting = []
    if waiting:
        _print_table(waiting)


def _print_table(cells: list[list[str]]) -> None:
    numeric = frozenset(["probability", "image", "captions"])
    print_table([*_COLUMNS, "remark"], cells, numeric)


def _print_csv(classifier: "Classifier", rows: _Rows) -> None:
    print_line(",".join([*_COLUMNS, "remark"]))
    for row in rows:
        line = io.StringIO()
        cells = [spreadsheet_safe(printable(cell)) for cell in _cells(classifier, row)]
        csv.writer(line, lineterminator="").writerow(cells)
        print_line(line.getvalue())


def _best(classifier: "Classifier", probabilities: "np.ndarray") -> str:
    return classifier.labels[int(probabilities.argmax())].name
