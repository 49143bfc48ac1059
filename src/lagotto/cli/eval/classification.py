"""`lagotto eval classification`: labelled pictures come in; accuracy by mode goes out."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import (
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.hub.opening import ENCODER_HELP, open_hub
from lagotto.cli.output import notice, print_json, print_line, print_table, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.encoders.base import Encoder
    from lagotto.evaluation.classification.classification import Evaluation
    from lagotto.evaluation.classification.sweep import Setting
    from lagotto.evaluation.classification.voices import VoicesEvaluation
    from lagotto.evaluation.intervals import Estimate
    from lagotto.zeroshot.captions.store import CaptionStore

_SHOWN = 10


def classification(
    data: list[Path] = typer.Argument(
        metavar="DATA...",
        help="One data set: a folder of class sub-folders, a jsonl of image and label, a "
        "webdataset tar or a folder of such; several are its parts.",
    ),
    encoder: str | None = typer.Option(
        None,
        help=f"{ENCODER_HELP} [default: the one of the caption store or the hub]",
    ),
    captions: str | None = typer.Option(
        None, metavar="STORE", help="A caption store: its folder or postgresql:// address."
    ),
    hub: Path | None = typer.Option(
        None, metavar="HUB", help="A hub: its models are a third voice, in rows of its own."
    ),
    max_models: int = typer.Option(3, min=1, help="Models of the hub that vote, at most."),
    behaviour_only: bool = typer.Option(
        False, "--behaviour-only", help="Find models without their published label names."
    ),
    labels: str | None = typer.Option(
        None, help="Comma list, text file or jsonl. [default: those that the data name]"
    ),
    modes: str | None = typer.Option(
        None,
        help="Comma list of guarded, paper, paper-code, captions-only, image-only; image-only is "
        "always there. [default: guarded with --captions]",
    ),
    k: str = typer.Option("16", help="Captions that vote; a comma list sweeps them in one pass."),
    templates: str = typer.Option(
        "single", help="Prompt templates: single, plain, simple, broad, or a file, one a line."
    ),
    seed: int = typer.Option(0, min=0, help="Seed of the bootstrap intervals."),
    out: Path | None = typer.Option(
        None, metavar="FILE", help="Write the results as JSON; never overwrites."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Measure zero-shot classification on labelled pictures, every mode beside image-only.

    A picture that cannot be read counts as wrong in every mode; exit code 1 if there is one.

    Example: lagotto eval classification labelled/ --encoder clip-onnx/ --captions my-captions
    """
    from lagotto.core.arguments.names import named_file
    from lagotto.evaluation.classification.classification import evaluate
    from lagotto.evaluation.classification.dataset import open_labelled
    from lagotto.evaluation.classification.voices import evaluate_voices
    from lagotto.evaluation.report import (
        Method,
        check_new,
        results,
        voices_as_json,
        write_results,
    )
    from lagotto.specialists.classifier import Classifier, HubVoice
    from lagotto.zeroshot.captions.store import CaptionStore
    from lagotto.zeroshot.prompts.labels import read_labels

    settings = _settings(modes, k, captions is not None)
    if out is not None:
        check_new(out)
    listed = None if labels is None else read_labels(labels)
    known = open_labelled(data, listed, None if labels is None else named_file(labels))
    store = None if captions is None else CaptionStore.open(captions, encoder)
    classifier = Classifier(
        _encoder(encoder, store, hub),
        known.labels,
        store,
        mode="image-only",
        templates=templates,
    )
    found = evaluate(classifier, known, settings, seed=seed, progress=bar(quiet))
    method = Method(classifier.encoder.info, classifier.templates, store)
    content = results(found, method)
    heard = None
    if hub is not None:
        voice = HubVoice(hub, max_models, use_names=not behaviour_only, progress=bar(quiet))
        heard = evaluate_voices(
            Classifier(classifier.encoder, known.labels, store, hub=voice, templates=templates),
            known,
            seed=seed,
            progress=bar(quiet),
        )
        content["voices"] = voices_as_json(heard, known.labels)
    if as_json:
        print_json(content)
    else:
        print_evaluation(found)
        if heard is not None:
            print_voices(heard)
    if not quiet:
        for note in () if listed is None else listed.notes:
            notice(f"note: {printable(note)}")
        _notices(found)
        for note in heard.notes if heard is not None else ():
            notice(f"note: {printable(note)}")
    if out is not None:
        write_results(out, content)
        if not quiet:
            notice(f"results: {out}")
    if found.unreadable:
        raise typer.Exit(1)


def _encoder(
    encoder: str | None, store: "CaptionStore | None", hub: Path | None
) -> "Encoder | str | None":
    """The store's encoder, which may be the one given; else the given one; else the hub's."""
    if store is not None:
        return store.encoder
    return open_hub(hub).encoder if encoder is None and hub is not None else encoder


def _settings(modes: str | None, k: str, has_captions: bool) -> "list[Setting]":
    """Every mode with every K, in the order given; image-only has no K."""
    from lagotto.evaluation.classification.sweep import IMAGE_ONLY, Setting
    from lagotto.zeroshot.arguments import check_mode

    if modes is None:
        modes = "guarded" if has_captions else "image-only"
    numbers = [part.strip() for part in k.split(",") if part.strip()]
    if not numbers or not all(
        part.isascii() and part.isdecimal() and int(part) for part in numbers
    ):
        raise UsageError(f"--k is {k!r}; give numbers from 1, for example 16 or 2,4,8,16,32,64")
    names = [part.strip() for part in modes.split(",") if part.strip()]
    if not names:
        raise UsageError("--modes is empty; give at least one, for example guarded,paper")
    settings: list[Setting] = []
    for name in names:
        mode = check_mode(name, has_captions)
        if mode == "image-only":
            settings.append(IMAGE_ONLY)
        else:
            settings += [Setting(mode, int(number)) for number in numbers]
    return settings


def print_evaluation(found: "Evaluation") -> None:
    """The scores as a table on stdout."""
    print_line(
        f"{printable(found.data.name)}: {len(found.data):,} pictures, "
        f"{len(found.data.labels):,} labels, {found.unreadable:,} unreadable (counted as wrong)"
    )
    columns = ["mode", "k", "acc1", "95 % interval", "acc5", "mean recall"]
    columns += ["to image-only", "95 % of that", "declined"]
    rows = [
        [
            row.setting.mode,
            str(row.setting.k or "-"),
            f"{row.acc1.value:.4f}",
            _interval(row.acc1),
            f"{row.acc5.value:.4f}",
            f"{row.mean_per_class_recall.value:.4f}",
            f"{row.gain.value:+.4f}" if row.setting.k else "-",
            _interval(row.gain, "+") if row.setting.k else "-",
            str(row.declined) if row.setting.k else "-",
        ]
        for row in found.scores
    ]
    print_table(columns, rows, frozenset(columns) - {"mode"})


def print_voices(heard: "VoicesEvaluation") -> None:
    """The scores by voices as a table on stdout."""
    print_line()
    columns = ["voices", "acc1", "95 % interval", "to image", "95 % of that"]
    rows = [
        [
            row.voices,
            f"{row.acc1.value:.4f}",
            _interval(row.acc1),
            f"{row.gain.value:+.4f}",
            _interval(row.gain, "+"),
        ]
        for row in heard.scores
    ]
    print_table(columns, rows, frozenset(columns) - {"voices"})


def _interval(estimate: "Estimate", sign: str = "") -> str:
    return f"{estimate.low:{sign}.4f} to {estimate.high:{sign}.4f}"


def _notices(found: "Evaluation") -> None:
    notice(f"pictures and files: {printable(str(found.source_count))}")
    for note in found.notes:
        notice(f"note: {printable(note)}")
    if found.unreadable:
        notice(f"{found.unreadable} pictures cannot be read:")
        for item in found.skipped[:_SHOWN]:
            notice(f"  {printable(item.source)}: {printable(item.reason)}")
        if found.unreadable > _SHOWN:
            notice(f"  and {found.unreadable - _SHOWN} more; --json lists the first 100")
