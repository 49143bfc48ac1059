"""A description → files to keep: labels.proposed.txt, a card in Markdown, contact sheets."""

import io
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.files import write_atomically, writing
from lagotto.core.images import decode_picture
from lagotto.hub.labels.describe import ModelDescription, NamedLogit
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.reports.contact_sheet import (
    SheetRow,
    Tile,
    draw_contact_sheet,
)
from lagotto.hub.store.model_responses import ModelResponses

LABELS_FILE = "labels.proposed.txt"
CARD_FILE = "card.md"
_ROWS_A_SHEET = 12
_SHEETS = 10
_TILES = 9


def write_card(
    hub: HubReader, known: ModelResponses, found: ModelDescription, folder: Path
) -> tuple[Path, ...]:
    """Writes the folder's labels file, card and sheets, and returns their paths, the card first.

    Sheets show the probes on which an output is highest; the 120 surest outputs are drawn. Raises
    UsageError if the folder holds a card already, HubError if it cannot be written.
    """
    if (folder / CARD_FILE).exists():
        raise UsageError(f"{folder / CARD_FILE} exists; give another folder, or remove it")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    labels = folder / LABELS_FILE
    write_atomically(labels, "".join(f"{_line(each.name)}\n" for each in found.logits).encode())
    surest = sorted(found.logits, key=lambda each: (-_confidence(each), each.logit))
    drawn = sorted(surest[: _ROWS_A_SHEET * _SHEETS], key=lambda each: each.logit)
    sheets = _write_sheets(hub, known, drawn, folder)
    card = folder / CARD_FILE
    write_atomically(card, _card(hub, found, sheets).encode())
    return card, labels, *sheets


def _write_sheets(
    hub: HubReader, known: ModelResponses, drawn: list[NamedLogit], folder: Path
) -> list[Path]:
    sheets: list[Path] = []
    for start in range(0, len(drawn), _ROWS_A_SHEET):
        rows = []
        for each in drawn[start : start + _ROWS_A_SHEET]:
            column = known.values[:, each.logit]
            highest = (-column).argsort(kind="stable")[:_TILES].tolist()
            tiles = tuple(
                Tile(
                    decode_picture(hub.probe_picture(probe)),
                    float(column[probe]),
                    probe in each.probes,
                )
                for probe in highest
            )
            rows.append(SheetRow(f"{each.logit}: {each.name}  ({_confidence(each):.2f})", tiles))
        buffer = io.BytesIO()
        draw_contact_sheet(rows).save(buffer, format="PNG")
        sheet = folder / f"outputs-{len(sheets) + 1:02d}.png"
        write_atomically(sheet, buffer.getvalue())
        sheets.append(sheet)
    return sheets


def _card(hub: HubReader, found: ModelDescription, sheets: list[Path]) -> str:
    sure = sum(not each.name.startswith("unknown_") for each in found.logits)
    lines = [
        f"# {_cell(Path(found.model).name)}",
        "",
        f"{len(found.logits)} outputs, {sure} with a name that is likely right, from "
        f"{found.vocabulary} names; read from the model's answers to {len(hub.probes)} pictures, "
        "not from its own labels.",
        "",
        "| output | proposed name | confidence | next best | published label |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in found.logits:
        others = ", ".join(_cell(proposal.name) for proposal in each.proposals[1:4])
        label = _cell(each.label) if each.label else "-"
        lines.append(
            f"| {each.logit} | {_cell(each.name)} | {_confidence(each):.2f} | {others} | {label} |"
        )
    if sheets:
        lines += [
            "",
            "## The pictures that each output answers to most",
            "",
            "Green frames: pictures that decided its name.",
        ]
    for sheet in sheets:
        lines += ["", f"![outputs]({sheet.name})"]
    return "\n".join(lines) + "\n"


def _confidence(each: NamedLogit) -> float:
    return each.proposals[0].confidence if each.proposals else 0.0


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    """Text in one cell of a table, with what Markdown or HTML would obey taken as it is."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\`*_[]|#!":
        shown = shown.replace(mark, f"\\{mark}")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
