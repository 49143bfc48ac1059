"""`lagotto classify`: pictures and labels in words come in; predictions with evidence go out."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import QUIET, bar
from lagotto.cli.hub.opening import DEVICE, ENCODER_HELP, checked_device, open_hub
from lagotto.cli.output import notice, printable
from lagotto.cli.predictions import Rows, print_rows_csv, print_rows_json, print_rows_tables
from lagotto.core.devices.placement import CPU
from lagotto.core.errors import LagottoError, UsageError

if TYPE_CHECKING:
    from lagotto.specialists.classifier import HubVoice


def classify_command(
    images: list[Path] = typer.Argument(metavar="IMAGES", help="Picture files or folders."),
    labels: str | None = typer.Option(
        None,
        metavar="A,B,C|FILE",
        help="Comma list, or a file: one name a line, CSV, JSON, YAML, or .jsonl. "
        "[default: an open vocabulary of common nouns, and those of the store's captions]",
    ),
    encoder: str | None = typer.Option(
        None,
        help=f"{ENCODER_HELP} [default: the one of the caption store or the hub]",
    ),
    device: str = DEVICE,
    captions: str | None = typer.Option(
        None, metavar="STORE", help="A caption store: its folder or postgresql:// address."
    ),
    hub: Path | None = typer.Option(
        None, metavar="HUB", help="A hub; its models vote if they know the labels."
    ),
    max_models: int = typer.Option(3, min=1, help="Models of the hub that vote, at most."),
    behaviour_only: bool = typer.Option(
        False, "--behaviour-only", help="Find models without their published label names."
    ),
    voices: str | None = typer.Option(
        None,
        metavar="A,B",
        help="Voices that vote: image, captions, hub. [default: all that are given]",
    ),
    k: int = typer.Option(
        16, min=1, help="Captions found for a picture; they vote in the modes of the paper."
    ),
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
    reject: float | None = typer.Option(
        None,
        metavar="P",
        help="Answer (none of these) where no label fits with at least this probability, 0 to 1. "
        "[default: the label stays, a remark says so]",
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
    from lagotto.encoders.registry import load_encoder
    from lagotto.specialists.classifier import Classifier
    from lagotto.zeroshot.captions.store import CaptionStore
    from lagotto.zeroshot.images import find_picture_files

    if as_json and as_csv:
        raise UsageError("--json and --csv given; give one of them")
    pictures = find_picture_files(images)
    on_gpu = checked_device(device, quiet=quiet) != CPU
    classifier = Classifier(
        load_encoder(encoder, device=device) if on_gpu and encoder is not None else encoder,
        labels,
        CaptionStore.open(captions, device=device) if on_gpu and captions is not None else captions,
        hub=None if hub is None else _voice(hub, max_models, behaviour_only, device, quiet),
        voices=split_voices(voices),
        mode=mode,
        k=k,
        templates=templates,
        approximate=approximate,
        reject=reject,
        progress=bar(quiet),
    )
    notes_printed = 0 if quiet else _print_notes(classifier.notes)
    started = time.perf_counter()
    rows = Rows(classifier, pictures, explain)
    if as_json:
        print_rows_json(classifier, rows, started)
    elif as_csv:
        print_rows_csv(classifier, rows)
    else:
        print_rows_tables(classifier, rows)
    if not quiet:
        _print_notes(classifier.notes[notes_printed:])
        if explain is not None:
            notice(f"pages: {explain / 'index.html'}")
        notice(f"files: {printable(str(rows.count))}")
    if rows.count.skipped:
        pictures_seen = rows.count.taken + rows.count.skipped
        raise LagottoError(
            f"{rows.count.skipped} of {pictures_seen} pictures could not be read; see their rows"
        )


def split_voices(text: str | None) -> list[str] | None:
    """The voices of a comma list."""
    if text is None:
        return None
    return [part.strip() for part in text.split(",") if part.strip()]


def _voice(
    hub: Path, max_models: int, behaviour_only: bool, device: str, quiet: bool
) -> "HubVoice":
    from lagotto.jobs.worker_limits import Limits
    from lagotto.specialists.classifier import HubVoice

    return HubVoice(
        open_hub(hub, None, device, quiet=quiet),
        max_models,
        use_names=not behaviour_only,
        limits=Limits(device=device),
        progress=bar(quiet),
    )


def _print_notes(notes: tuple[str, ...]) -> int:
    for note in notes:
        notice(f"note: {printable(note)}")
    return len(notes)
