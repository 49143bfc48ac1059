"""`lagotto probes make | check`: sets of pictures that cover much, and what a set shows."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import JSON, QUIET, bar
from lagotto.cli.hub.opening import ENCODER_HELP, open_hub
from lagotto.cli.names import read_names
from lagotto.cli.output import notice, print_json, print_line, print_table, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.hub.curation.check import ProbeCheck

probes_app = typer.Typer(
    help="Make a set of probe pictures, or see what one shows.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_SHOWN = 12


@probes_app.command("make")
def probes_make(
    out: Path = typer.Argument(metavar="OUT", help="Folder of the set; it must not exist."),
    source: list[str] = typer.Option(
        ...,
        "--from",
        help="Folder of pictures, parquet, tar, jsonl or hf:datasets/ORG/NAME; may be repeated. Or "
        "one that draws: dead-leaves, or diffusers:FOLDER, a text-to-image pipeline.",
    ),
    size: int = typer.Option(2000, min=2, help="How many pictures to choose."),
    encoder: str = typer.Option("siglip", help=ENCODER_HELP),
    candidates: int | None = typer.Option(
        None,
        min=2,
        help="Look at a random sample of this size. [default: all; of a dataset ten times --size]",
    ),
    seed: int = typer.Option(0, help="Seed of that sample, and of drawn pictures."),
    licence: str = typer.Option("", help="Licence of pictures on disk that state none."),
    author: str = typer.Option("", help="Author of pictures on disk that state none."),
    accept: bool = typer.Option(
        False, "--accept", help="Take pictures and datasets that state no licence."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Choose pictures that cover many concepts, and write them as parquet with a report.

    What the encoder takes for faces, text alone or unsafe pictures is left out, and so are near
    repeats. That is no filter to rely on: the small encoder photo-lit hardly tells faces.

    Example: lagotto probes make my-set --from photos/ --size 600 --encoder clip-onnx/ --licence CC0
    """
    from lagotto.hub.curation.make import SetOptions, make_probes

    options = SetOptions(candidates, seed, licence, author, accept)
    made = make_probes(out, source, size, encoder, options, progress=bar(quiet))
    if as_json:
        print_json(made.as_json())
        return
    print_line(f"{out}: {made.probes} pictures chosen of {made.candidates}")
    for reason, count in made.left_out.items():
        print_line(f"  left out as {reason}: {count}")
    if made.repeats:
        print_line(f"  left out as nearly the same as another one: {made.repeats}")
    if made.skipped:
        print_line(f"  could not be read, or a copy: {made.skipped}")
    if made.check is not None:
        print_line(f"  they show {made.check.shown} of {len(made.check.words)} common nouns")
    for name, count in made.licences.items():
        print_line(f"  licence {printable(name)}: {count}")
    if not quiet and made.check is None:
        by = "the pipeline's own safety checker alone" if made.left_out else "nothing"
        notice(f"report and licences: {out}; {by} looked at the pictures: they were drawn")
    elif not quiet:
        notice(f"report, contact sheet and licences: {out}; the encoder left out what it took for")
        notice("faces, text or unsafe pictures, and may miss most of them: look at the pictures")
        notice("before you publish the set [docs/how-to/choose-probes.md]")
    if not quiet:
        notice(f"next: lagotto hub create my-hub --probes {out}")


@probes_app.command("check")
def probes_check(
    probes: Path = typer.Argument(
        metavar="HUB|SET", help="A hub; or a folder or file with pictures, with --encoder."
    ),
    vocabulary: str | None = typer.Option(
        None, metavar="A,B,C|FILE", help="The words to look for. [default: common nouns]"
    ),
    encoder: str | None = typer.Option(None, help=f"{ENCODER_HELP} [default: that of the hub]"),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Show which words the probes show, how surely, and which pictures tell nothing.

    Example: lagotto probes check my-hub --vocabulary "violin, tractor, otter"
    """
    words = None if vocabulary is None else read_names(vocabulary, "vocabulary", quiet, once=True)
    checked = _check(probes, None if words is None else words.present, encoder, quiet)
    if as_json:
        print_json({"source": str(probes), **checked.as_json()})
        return
    print_line(
        f"{probes}: {checked.probes} probes show {checked.shown} of {len(checked.words)} words"
    )
    missing = len(checked.words) - checked.shown
    if missing:
        print_line(f"about {checked.needed} more pictures would show the other {missing}, roughly")
    print_line(f"{len(checked.idle)} probes show no word; {len(checked.repeats)} nearly repeat one")
    print_line()
    ordered = sorted(checked.words, key=lambda word: -word.probability)
    shown = ordered if vocabulary is not None else [*ordered[:_SHOWN], *ordered[-_SHOWN:]]
    rows = [
        [
            word.word,
            f"{word.probability:.2f}",
            str(word.probe),
            "" if word.is_shown else "not shown",
        ]
        for word in dict.fromkeys(shown)
    ]
    print_table(["word", "surely", "probe", ""], rows, frozenset({"surely", "probe"}))


def _check(
    probes: Path, words: "tuple[str, ...] | list[str] | None", encoder: str | None, quiet: bool
) -> "ProbeCheck":
    from lagotto.hub.store.manifest import HUB_MANIFEST

    if (probes / HUB_MANIFEST).is_file():
        return open_hub(probes, encoder, quiet=quiet).check_probes(words)
    if encoder is None:
        raise UsageError(
            f"{probes} is no hub; give a hub, or what looks at the pictures: --encoder siglip"
        )
    from lagotto.hub.curation.make import check_pictures

    return check_pictures(probes, encoder, words, progress=bar(quiet))
