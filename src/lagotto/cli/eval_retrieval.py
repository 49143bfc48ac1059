"""`lagotto eval retrieval`: how often a search of a hub is right."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub import JSON, QUIET, bar
from lagotto.cli.output import notice, print_json, print_line, print_table, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.core.progress import Progress
    from lagotto.encoders.base import Encoder
    from lagotto.evaluation.intervals import Estimate
    from lagotto.evaluation.logit_table import LogitTable
    from lagotto.evaluation.questions import Asked
    from lagotto.evaluation.retrieval_scores import RetrievalEvaluation

HUB = typer.Argument(None, metavar="[HUB]", help="The hub's folder.")
RESPONSES = typer.Option(
    None,
    metavar="DIR",
    help="A folder of raw responses in place of a hub: models.json, responses.npz, "
    "probe_embeddings.npy; needs --encoder.",
)
TRUTH = typer.Option(
    None,
    metavar="FILE",
    help="Texts with the logits that answer them, JSON. [default: the models' own labels]",
)
ASKING = typer.Option(
    None,
    metavar="HUB2",
    help="Logits of this hub, of the same probes, ask for their namesakes in HUB.",
)
ENCODER = typer.Option(
    None, help="The encoder that embedded the probes: where it is now, if it was moved."
)
K = typer.Option(50, min=1, help="Probes compared by the paper's rule.")
SEED = typer.Option(0, min=0, help="Seed of the bootstrap intervals.")
OUT = typer.Option(None, metavar="FILE", help="Write the results as JSON; never overwrites.")


def retrieval(
    hub: Path | None = HUB,
    truth: Path | None = TRUTH,
    responses: Path | None = RESPONSES,
    asking: Path | None = ASKING,
    encoder: str | None = ENCODER,
    k: int = K,
    behaviour_only: bool = typer.Option(
        False, "--behaviour-only", help="Only rules that read no label and no model name."
    ),
    details: bool = typer.Option(False, "--details", help="Also one record a query."),
    seed: int = SEED,
    out: Path | None = OUT,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Measure search on queries with known answers: every rule, the paper's baselines, keywords.

    Without --truth the models' own labels are the truth: each name is asked for as a text, and
    each logit asks for its namesakes in other models.

    Example: lagotto eval retrieval my-hub
    """
    from lagotto.evaluation.report import check_new, write_results
    from lagotto.evaluation.retrieval_report import (
        RetrievalMethod,
        retrieval_details,
        retrieval_results,
    )
    from lagotto.evaluation.retrieval_rules import rules_of
    from lagotto.evaluation.retrieval_scores import evaluate_retrieval

    if out is not None:
        check_new(out)
    table, speaker = open_table(hub, responses, encoder)
    progress = bar(quiet)
    others = None if asking is None else open_asking(asking)
    logits = others or (table if truth is None else None)
    asked = read_known(table, speaker, truth, logits, progress)
    rules = rules_of(table, k, behaviour_only=behaviour_only)
    found = evaluate_retrieval(table, asked.questions, rules, seed=seed, progress=progress)
    method = RetrievalMethod(
        table, speaker.info, truth_name(truth), asked.left_out, k, seed, behaviour_only, others
    )
    content = retrieval_results(found, method)
    if details:
        content["details"] = retrieval_details(found, table)
    if as_json:
        print_json(content)
    else:
        print_rows(found)
        if details:
            _print_queries(found)
    notices(asked, quiet)
    if out is not None:
        write_results(out, content)
        if not quiet:
            notice(f"results: {out}")


def open_table(
    hub: Path | None, responses: Path | None, encoder: str | None
) -> "tuple[LogitTable, Encoder]":
    """The logits that are asked, of a hub or of raw responses, and the encoder of the texts."""
    from lagotto.encoders.registry import load_encoder
    from lagotto.evaluation.logit_table import hub_table, responses_table
    from lagotto.evaluation.raw_responses import read_raw_responses
    from lagotto.hubsearch.pipeline import Hub

    if (hub is None) == (responses is None):
        said = "nothing" if hub is None else "HUB and --responses"
        raise UsageError(f"{said} given; give one of HUB, --responses DIR")
    if hub is not None:
        opened = Hub.open(hub, encoder)
        return hub_table(opened), opened.encoder
    if responses is None or encoder is None:
        raise UsageError("--responses needs --encoder, the one that embedded its probes")
    loaded = load_encoder(encoder)
    return responses_table(read_raw_responses(responses), loaded), loaded


def open_asking(hub: Path) -> "LogitTable":
    """The logits of another hub, that ask."""
    from lagotto.evaluation.logit_table import hub_table
    from lagotto.hubsearch.pipeline import Hub

    return hub_table(Hub.open(hub))


def read_known(
    table: "LogitTable",
    encoder: "Encoder",
    truth: Path | None,
    logits: "LogitTable | None",
    progress: "Progress",
) -> "Asked":
    """The texts of a truth file or, without one, of the models' labels; and the `logits` that ask.

    These may be the table itself or that of another hub; None: texts alone.
    """
    from lagotto.evaluation.questions import Asked, label_truth, logit_questions, text_questions
    from lagotto.evaluation.retrieval import read_truth

    known = label_truth(table) if truth is None else read_truth(truth)
    if not known:
        raise UsageError("no model has labels with names, so nothing is known; give --truth FILE")
    elsewhere = None if logits is table else logits
    asking = None if logits is None else logit_questions(table, elsewhere)
    if asking is None and elsewhere is not None:
        raise UsageError("no logit of --asking has a label in common with these models")
    texts = text_questions(table, known, encoder, progress)
    return Asked((*texts.questions, *([asking] if asking else [])), texts.left_out)


def truth_name(truth: Path | None) -> str:
    """What a result says of its truth: the digest of the file, or that it is the labels."""
    from lagotto.core.files import sha256_file

    return "labels" if truth is None else sha256_file(truth, UsageError)


def notices(asked: "Asked", quiet: bool) -> None:
    """What has to be said of the questions, on stderr."""
    if asked.left_out and not quiet:
        notice(
            f"note: {asked.left_out:,} queries of the truth name no logit of these models and are "
            "left out"
        )


def print_rows(found: "RetrievalEvaluation") -> None:
    """The scores as a table on stdout."""
    columns = ["kind", "rule", "queries", "top1", "95 % interval", "top5", "precision5", "mrr"]
    columns += ["model recall", "to paper", "95 % of that"]
    rows = [
        [
            row.kind,
            row.rule,
            f"{row.queries:,}",
            f"{row.top1.value:.3f}",
            _interval(row.top1),
            f"{row.top5.value:.3f}",
            f"{row.precision5.value:.3f}",
            f"{row.mrr.value:.3f}",
            f"{row.model_recall.value:.3f}",
            f"{row.to_paper.value:+.3f}",
            _interval(row.to_paper, "+"),
        ]
        for row in found.rows
    ]
    print_table(columns, rows, frozenset(columns[2:]))


def _print_queries(found: "RetrievalEvaluation") -> None:
    print_line()
    print_line("rank of the best right logit, by rule (- : not reached, or not asked):")
    rules = list(found.rankings)
    rows: list[Sequence[str]] = []
    for place, asked in enumerate(found.questions):
        for number, name in enumerate(asked.names):
            kinds = [found.rankings[rule][place] for rule in rules]
            ranks = [0 if ranking is None else int(ranking.first[number]) for ranking in kinds]
            rows.append([asked.kind, printable(name), *(f"{rank or '-'}" for rank in ranks)])
    print_table(["kind", "query", *rules], rows, frozenset(rules))


def _interval(estimate: "Estimate", sign: str = "") -> str:
    return f"{estimate.low:{sign}.3f} to {estimate.high:{sign}.3f}"
