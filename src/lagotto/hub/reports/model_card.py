"""A description in, files to keep out: labels.proposed.txt, a card in Markdown, contact sheets."""

import io
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.files import write_atomically, writing
from lagotto.core.images import decode_picture
from lagotto.core.text.clean import shown
from lagotto.hub.labels.describe import ModelDescription, NamedLogit
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.reports.contact_sheet import (
    SheetRow,
    Tile,
    draw_contact_sheet,
)
from lagotto.hub.store.records import ModelRecord
from lagotto.hub.store.responses import ModelResponses

LABELS_FILE = "labels.proposed.txt"
CARD_FILE = "card.md"
_ROWS_A_SHEET = 12
_SHEETS = 10
_TILES = 9


def write_card(
    hub: HubReader, known: ModelResponses, description: ModelDescription, folder: Path
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
    write_atomically(
        labels, "".join(f"{_line(output.name)}\n" for output in description.logits).encode()
    )
    ordered = sorted(description.logits, key=lambda output: (-_confidence(output), output.logit))
    drawn = sorted(ordered[: _ROWS_A_SHEET * _SHEETS], key=lambda output: output.logit)
    sheets = _write_sheets(hub, known, drawn, folder)
    card = folder / CARD_FILE
    record = hub.record(known.name) if known.in_hub else None
    write_atomically(card, _card(hub, description, record, sheets).encode())
    return card, labels, *sheets


def _write_sheets(
    hub: HubReader, known: ModelResponses, drawn: list[NamedLogit], folder: Path
) -> list[Path]:
    sheets: list[Path] = []
    for start in range(0, len(drawn), _ROWS_A_SHEET):
        rows = []
        for output in drawn[start : start + _ROWS_A_SHEET]:
            column = known.values[:, output.logit]
            highest = (-column).argsort(kind="stable")[:_TILES].tolist()
            tiles = tuple(
                Tile(
                    decode_picture(hub.probe_picture(probe)),
                    float(column[probe]),
                    probe in output.probes,
                )
                for probe in highest
            )
            rows.append(
                SheetRow(f"{output.logit}: {output.name}  ({_confidence(output):.2f})", tiles)
            )
        buffer = io.BytesIO()
        draw_contact_sheet(rows).save(buffer, format="PNG")
        sheet = folder / f"outputs-{len(sheets) + 1:02d}.png"
        write_atomically(sheet, buffer.getvalue())
        sheets.append(sheet)
    return sheets


def _card(
    hub: HubReader, description: ModelDescription, record: ModelRecord | None, sheets: list[Path]
) -> str:
    named = sum(not output.name.startswith("unknown_") for output in description.logits)
    lines = [
        f"# {_cell(Path(description.model).name)}",
        "",
        f"{len(description.logits)} outputs, {named} with a name that is likely right, from "
        f"{description.vocabulary} names; read from the model's answers to {len(hub.probes)} "
        "pictures, not from its own labels.",
        "",
        *(() if record is None else (_facts(record), "")),
        "| output | proposed name | confidence | next best | published label |",
        "| --- | --- | --- | --- | --- |",
    ]
    for output in description.logits:
        others = ", ".join(_cell(proposal.name) for proposal in output.proposals[1:4])
        label = _cell(output.label) if output.label else "-"
        name, confidence = _cell(output.name), f"{_confidence(output):.2f}"
        lines.append(f"| {output.logit} | {name} | {confidence} | {others} | {label} |")
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


def _facts(record: ModelRecord) -> str:
    """What the network of a model is, in one line."""
    architecture = _cell(record.architecture) or "its own graph"
    return f"Kind: {record.kind}. Architecture: {architecture}. Read as {_cell(record.framework)}."


def _confidence(output: NamedLogit) -> float:
    return output.proposals[0].confidence if output.proposals else 0.0


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    """Text in one cell of a table, with the marks of Markdown and HTML escaped."""
    cell = "".join(c if c.isprintable() else " " for c in shown(text))
    for mark in "\\`*_[]|#!":
        cell = cell.replace(mark, f"\\{mark}")
    return cell.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
