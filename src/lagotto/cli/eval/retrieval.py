"""`lagotto eval retrieval`: a hub comes in; the accuracy of every ranking rule goes out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from lagotto.cli.eval.queries import (
    ASKING,
    ENCODER_OPTION,
    HUB_OPTION,
    OUT,
    RESPONSES,
    SEED,
    TRUTH_OPTION,
    K,
    notices,
    open_meanings,
    open_query_table,
    open_table,
    open_trust,
    read_known,
    truth_name,
)
from lagotto.cli.hub.commands import (
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.hub.opening import open_hub
from lagotto.cli.output import notice, print_json, print_line, print_table, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.evaluation.confidence.reliability import Reliability
    from lagotto.evaluation.intervals import Estimate
    from lagotto.evaluation.retrieval.scores import RetrievalEvaluation


def retrieval(
    hub: Path | None = HUB_OPTION,
    truth: Path | None = TRUTH_OPTION,
    responses: Path | None = RESPONSES,
    asking: Path | None = ASKING,
    encoder: str | None = ENCODER_OPTION,
    k: int = K,
    behaviour_only: bool = typer.Option(
        False, "--behaviour-only", help="Only rules that read no label and no model name."
    ),
    details: bool = typer.Option(False, "--details", help="Also one record a query."),
    plot: Path | None = typer.Option(
        None,
        metavar="FILE.png",
        help="Also search for each text, and draw the share of right hits by their confidence "
        "(extra `plots`).",
    ),
    seed: int = SEED,
    out: Path | None = OUT,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Measure search on queries with known answers: every rule, the paper's baselines, keywords.

    Without --truth the models' own labels are the truth: each name is a text query, and each logit
    is a query for logits of the same name in other models.

    Example: lagotto eval retrieval my-hub
    """
    from lagotto.evaluation.confidence.reliability import measure_reliability
    from lagotto.evaluation.report import check_new, write_results
    from lagotto.evaluation.retrieval.report import (
        RetrievalMethod,
        retrieval_details,
        retrieval_results,
    )
    from lagotto.evaluation.retrieval.rules import rules_of, trust_all
    from lagotto.evaluation.retrieval.scores import evaluate_retrieval

    if out is not None:
        check_new(out)
    draw = None if plot is None else _drawing(hub)
    table, text_encoder = open_table(hub, responses, encoder)
    progress = bar(quiet)
    query_table = None if asking is None else open_query_table(asking)
    logits = query_table or (table if truth is None else None)
    queries = read_known(table, text_encoder, truth, logits, progress)
    trust = trust_all if behaviour_only else open_trust(hub, encoder)
    meanings = None if behaviour_only else open_meanings(hub, encoder)
    rules = rules_of(table, k, behaviour_only=behaviour_only, trust=trust, meanings=meanings)
    evaluation = evaluate_retrieval(table, queries.questions, rules, seed=seed, progress=progress)
    method = RetrievalMethod(
        table,
        text_encoder.info,
        truth_name(truth),
        queries.left_out,
        k,
        seed,
        behaviour_only,
        query_table,
    )
    content = retrieval_results(evaluation, method)
    if details:
        content["details"] = retrieval_details(evaluation, table)
    reliability = None
    if draw is not None and plot is not None and hub is not None:
        reliability = measure_reliability(
            *(open_hub(hub, encoder), table, queries.questions),
            behaviour_only=behaviour_only,
            progress=progress,
        )
        draw(plot, reliability)
        content["reliability"] = reliability.as_json()
    if as_json:
        print_json(content)
    else:
        print_rows(evaluation)
        if reliability is not None:
            print_line(
                f"confidence: {100 * reliability.calibration_error:.1f} points off on average, "
                f"{reliability.hits:,} hits of {reliability.queries:,} texts"
            )
        if details:
            _print_queries(evaluation)
    notices(queries, quiet)
    if out is not None:
        write_results(out, content)
    for what, written in (("results", out), ("plot", plot)):
        if written is not None and not quiet:
            notice(f"{what}: {written}")


def _drawing(hub: Path | None) -> "Callable[[Path, Reliability], None]":
    """The function that draws the reliability; loaded before anything is measured."""
    from lagotto.core.registry import Adapter, load_adapter

    if hub is None:
        raise UsageError("--plot needs a HUB: raw responses have no confidence")
    module = "lagotto.evaluation.confidence.matplotlib_reliability"
    adapter = Adapter(module, "write_reliability", "matplotlib", "plots")
    draw = load_adapter({"png": adapter}, "png", "plot")
    return cast("Callable[[Path, Reliability], None]", draw)


def print_rows(evaluation: "RetrievalEvaluation") -> None:
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
        for row in evaluation.rows
    ]
    print_table(columns, rows, frozenset(columns[2:]))


def _print_queries(evaluation: "RetrievalEvaluation") -> None:
    print_line()
    print_line("rank of the best right logit, by rule (- : not reached, or not asked):")
    rules = list(evaluation.rankings)
    rows: list[Sequence[str]] = []
    for position, queries in enumerate(evaluation.queries):
        for number, name in enumerate(queries.names):
            kinds = [evaluation.rankings[rule][position] for rule in rules]
            ranks = [0 if ranking is None else int(ranking.first[number]) for ranking in kinds]
            rows.append([queries.kind, printable(name), *(f"{rank or '-'}" for rank in ranks)])
    print_table(["kind", "query", *rules], rows, frozenset(rules))


def _interval(estimate: "Estimate", sign: str = "") -> str:
    return f"{estimate.low:{sign}.3f} to {estimate.high:{sign}.3f}"
