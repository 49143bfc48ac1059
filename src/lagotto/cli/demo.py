"""`lagotto demo`: builds, searches and scores the bundled offline world."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import (
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.output import print_json, print_line, print_table
from lagotto.cli.search import print_hits
from lagotto.cli.web.serve import check_extra, run_server
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.demo.tour import Tour


def demo(
    folder: Path = typer.Option(
        Path("lagotto-demo"), help="Where the hub and the pictures go; they stay for you to use."
    ),
    serve: bool = typer.Option(
        False, "--serve", help="Then serve the hub as a page, as `lagotto serve` does."
    ),
    port: int = typer.Option(
        8765, min=0, max=65535, help="The port of --serve; 0 takes a free one."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Build, search and score the bundled offline world, in under a minute.

    Example: lagotto demo --folder lagotto-demo
    """
    from lagotto.demo.tour import take_tour

    if serve:
        if as_json:
            raise UsageError("--json and --serve given; give one of them")
        check_extra()
    started = time.perf_counter()
    tour = take_tour(folder, bar(quiet))
    elapsed_s = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "hub": str(tour.hub),
                "models": tour.models,
                "logits": tour.logits,
                "probes": tour.probes,
                "contact_sheet": str(tour.sheet),
                "text_to_logit": asdict(tour.text_to_logit),
                "logit_to_logit": asdict(tour.logit_to_logit),
                "reference": {
                    "hub": str(tour.taught.hub),
                    "reference": tour.taught.reference,
                    "concepts": tour.taught.concepts,
                    "through": tour.taught.through,
                    "behaviour": tour.taught.behaviour,
                },
                "naming": [asdict(score) for score in tour.naming],
                "voices": [asdict(score) for score in tour.voices.scores],
                "incomplete_labels": asdict(tour.incomplete),
                "elapsed_s": round(elapsed_s, 3),
            }
        )
    else:
        _print(tour, elapsed_s)
    if serve:
        from lagotto.demo.bundled import DEMO_ENCODER
        from lagotto.web.options import ServerOptions

        options = ServerOptions(captions=tour.captions, port=port, encoder=str(DEMO_ENCODER))
        run_server(tour.hub, options, open_page=False, quiet=quiet)


def _print(tour: "Tour", elapsed_s: float) -> None:
    print_line(
        f"A hub of {tour.models} small classifiers with {tour.logits} outputs, half of them "
        f"without any label,\nprobed with {tour.probes} pictures. Which outputs know these?"
    )
    for hits in tour.searches:
        print_line()
        print_line(f'$ lagotto search {tour.hub} "{hits.query.value}" --top {len(hits.hits)}')
        print_hits(hits)
    print_line()
    print_line("Right, against the truth that was kept aside:")
    rows = [
        [name, str(score.queries), f"{score.top1:.2f}", f"{score.top5:.2f}"]
        for name, score in (
            ("text -> logit", tour.text_to_logit),
            ("logit -> logit", tour.logit_to_logit),
        )
    ]
    columns = ["query", "queries", "top-1", "top-5"]
    print_table(columns, rows, frozenset(columns[1:]))
    print_line()
    _print_taught(tour)
    print_line()
    print_line(
        "And without any model: held-out pictures named among all 208 concepts, by the encoder\n"
        "alone, and helped by captions of other pictures (the paper's rule, and our default)."
    )
    _print_naming(tour)
    print_line()
    print_line(
        f"And all together: {tour.voices.pictures} held-out pictures of {tour.voices.labels} "
        "concepts, by each set of voices.\nThe model that was asked publishes no labels; its "
        "outputs were found by behaviour."
    )
    _print_voices(tour)
    print_line()
    asked = tour.incomplete
    print_line(
        f"Asked for {', '.join(asked.labels)}, a picture of a {asked.shown} is answered\n"
        f"{asked.label} ({asked.probability:.2f}), {asked.remark}."
    )
    print_line()
    print_line(f"{elapsed_s:.0f} s. What decided the first search: {tour.sheet}")
    print_line("The hub stays. Try:")
    first = tour.searches[0].hits[0]
    picture = sorted(tour.pictures.iterdir())[0]
    print_line(f'  lagotto search {tour.hub} "sailboat" --explain sailboat.png')
    print_line(f"  lagotto search {tour.hub} --logit {first.model}:{first.logit}")
    print_line(f"  lagotto search {tour.hub} --image {picture}")
    print_line(f'  lagotto search {tour.taught.hub} "diya lamp" --behaviour-only --no-reference')
    print_line(f"  lagotto hub status {tour.hub}")
    print_line(f'  lagotto captions search {tour.captions} "a lemon"')
    print_line(f"  lagotto serve {tour.hub} --captions {tour.captions}")


def _print_taught(tour: "Tour") -> None:
    taught = tour.taught
    print_line(
        "With one labelled model as a reference, and no other label read: of its "
        f"{taught.concepts} concepts\nan output of another model is found first for "
        f"{taught.through}, by behaviour alone for {taught.behaviour}."
    )
    print_line()
    words = f'"{taught.search.query.value}" --top {len(taught.search.hits)} --behaviour-only'
    print_line(f"$ lagotto search {taught.hub} {words}")
    print_hits(taught.search)
    for hit in taught.search:
        print_line(f"hit {hit.rank}: {hit.through}")


def _print_naming(tour: "Tour") -> None:
    rows = [
        [
            score.kind,
            str(score.pictures),
            f"{score.image_only:.2f}",
            f"{score.paper:.2f}",
            f"{score.guarded:.2f}",
        ]
        for score in tour.naming
    ]
    columns = ["concepts", "pictures", "image-only", "paper", "guarded"]
    print_table(columns, rows, frozenset(columns[1:]))


def _print_voices(tour: "Tour") -> None:
    rows = [
        [", ".join(score.voices), f"{score.accuracy:.2f}", ", ".join(score.models) or "-"]
        for score in tour.voices.scores
    ]
    columns = ["voices", "right", "models asked"]
    print_table(columns, rows, frozenset(["right"]))
