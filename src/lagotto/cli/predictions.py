"""Predictions come in; one JSON object, lines of CSV or tables go to stdout, and pages to files."""

import csv
import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.cli.output import (
    print_json,
    print_line,
    print_table,
    printable,
    spreadsheet_safe,
)

if TYPE_CHECKING:
    from lagotto.core.sources.count import SourceCount
    from lagotto.core.types import JsonObject, Skipped
    from lagotto.specialists.classifier import Classifier
    from lagotto.zeroshot.images import PictureFiles
    from lagotto.zeroshot.types import ModelVote, Prediction

_TABLE_ROWS = 64
"""Rows in one aligned table; further rows are printed in further tables."""

_COLUMNS = ("path", "label", "probability", "image_only", "image", "captions")


class Rows:
    """The classifier's rows, once; counts unreadable pictures and writes HTML pages.

    Pictures that are not read at all come last, with the reason.
    """

    def __init__(
        self, classifier: "Classifier", pictures: "PictureFiles", explain: Path | None
    ) -> None:
        self._classifier = classifier
        self._pictures = pictures
        self._explain = explain
        self._unreadable = 0

    @property
    def count(self) -> "SourceCount":
        """What became of each file so far."""
        return self._pictures.count(self._unreadable)

    def __iter__(self) -> "Iterator[Prediction | Skipped]":
        from lagotto.core.types import Skipped
        from lagotto.zeroshot.html_report import ExplainPages

        names = [label.name for label in self._classifier.labels]
        with ExitStack() as stack:
            pages = None
            if self._explain is not None:
                pages = stack.enter_context(ExplainPages(self._explain, names))
            rows = chain(self._classifier.predict(self._pictures.files), self._pictures.skipped)
            for number, row in enumerate(rows):
                is_given = number < len(self._pictures.files)
                self._unreadable += isinstance(row, Skipped) and is_given
                if pages is not None:
                    pages.add(
                        row, {model.model: model.why for model in self._classifier.specialists}
                    )
                yield row


def print_rows_json(classifier: "Classifier", rows: Rows, started: float) -> None:
    """Prints one JSON object with all rows; `specialists` only with a hub."""
    from lagotto.specialists.answers import classification_answer

    answer = classification_answer(classifier, rows)
    specialists: JsonObject = {}
    if "specialists" in answer:
        specialists["specialists"] = answer.pop("specialists")
    print_json(
        {
            **answer,
            "source_count": rows.count.as_json(),
            **specialists,
            "notes": list(classifier.notes),
            "elapsed_s": round(time.perf_counter() - started, 6),
        }
    )


def print_rows_tables(classifier: "Classifier", rows: Rows) -> None:
    """Prints aligned tables of _TABLE_ROWS rows while the predictions arrive."""
    pending: list[list[str]] = []
    for row in rows:
        pending.append(_cells(classifier, row))
        if len(pending) == _TABLE_ROWS:
            _print_table(classifier, pending)
            pending = []
    if pending:
        _print_table(classifier, pending)


def print_rows_csv(classifier: "Classifier", rows: Rows) -> None:
    """Prints one line a picture, after the names of the columns."""
    print_line(",".join(_columns(classifier)))
    for row in rows:
        line = io.StringIO()
        cells = [spreadsheet_safe(printable(cell)) for cell in _cells(classifier, row)]
        csv.writer(line, lineterminator="").writerow(cells)
        print_line(line.getvalue())


def _print_table(classifier: "Classifier", cells: list[list[str]]) -> None:
    numeric = frozenset(["probability", "image", "captions", "hub", "none"])
    print_table(_columns(classifier), cells, numeric)


def _columns(classifier: "Classifier") -> list[str]:
    hub = ["hub", "models"] if "hub" in classifier.voices else []
    return [*_COLUMNS, *hub, "none", "remark"]


def _cells(classifier: "Classifier", row: "Prediction | Skipped") -> list[str]:
    from lagotto.core.types import Skipped
    from lagotto.specialists.answers import best_label, chosen_label

    if isinstance(row, Skipped):
        return [row.source, *[""] * (len(_columns(classifier)) - 2), row.reason]
    best = int(row.probabilities.argmax())
    hub = []
    if "hub" in classifier.voices:
        opinions = [f"{vote.model}: {_opinion(classifier, vote)}" for vote in row.votes]
        hub = [f"{row.hub_weight:.2f}", "; ".join(opinions)]
    return [
        row.path,
        chosen_label(classifier, row),
        f"{row.none if row.rejected else row.probabilities[best]:.3f}",
        best_label(classifier, row.image_only),
        f"{row.weights[0]:.2f}",
        f"{row.weights[1]:.2f}",
        *hub,
        f"{row.none:.3f}",
        row.remark,
    ]


def _opinion(classifier: "Classifier", vote: "ModelVote") -> str:
    """The label that a model votes for, or that none of its labels fits."""
    from lagotto.specialists.answers import best_label

    if vote.rest > float(vote.probabilities.max()):
        return f"none of its labels {vote.rest:.2f}"
    return f"{best_label(classifier, vote.probabilities)} {float(vote.probabilities.max()):.2f}"
