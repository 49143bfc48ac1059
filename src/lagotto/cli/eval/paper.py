"""`lagotto eval paper`: the tables and figures of the ProbeLog paper, on any hub."""

from pathlib import Path
from typing import TYPE_CHECKING

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
    open_query_table,
    open_table,
    read_known,
    truth_name,
)
from lagotto.cli.hub.commands import (
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.output import notice, print_json, print_line, print_table, printable

if TYPE_CHECKING:
    from lagotto.evaluation.paper.tables import Cell, PaperTable


def eval_paper(
    hub: Path | None = HUB_OPTION,
    truth: Path | None = TRUTH_OPTION,
    responses: Path | None = RESPONSES,
    asking: Path | None = ASKING,
    encoder: str | None = ENCODER_OPTION,
    k: int = K,
    max_queries: int = typer.Option(
        500, min=1, help="Queries of each kind, at most; a random sample if there are more."
    ),
    seed: int = SEED,
    sources: str | None = typer.Option(
        None,
        metavar="A,B,C",
        help="Make the table of sources alone, on these collections of probes: folders, tables, "
        "dead-leaves.",
    ),
    plots: Path | None = typer.Option(
        None, metavar="DIR", help="Draw the tables too, a PNG each, into a new or empty folder."
    ),
    out: Path | None = OUT,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Make the ProbeLog paper's tables on your models: rules, sources of probes, selections, k.

    Texts are those of --truth, or the models' labels; logits ask for their namesakes by label.

    Example: lagotto eval paper my-hub --k 10

    Example: lagotto eval paper my-hub --sources photos,dead-leaves
    """
    from lagotto.evaluation.paper.plots import empty_folder, plot_writer
    from lagotto.evaluation.paper.report import paper_results
    from lagotto.evaluation.paper.tables import Bench, paper_tables
    from lagotto.evaluation.report import check_new, write_results
    from lagotto.evaluation.retrieval.report import RetrievalMethod

    if out is not None:
        check_new(out)
    draw, folder = None, None
    if plots is not None:
        draw, folder = plot_writer(), empty_folder(plots)
    table, text_encoder = open_table(hub, responses, encoder)
    progress = bar(quiet)
    query_table = None if asking is None else open_query_table(asking)
    queries = read_known(table, text_encoder, truth, query_table or table, progress)
    tables = []
    sampled = tuple(each.sample(max_queries, seed) for each in queries.questions)
    # Names such as a.parquet,b.parquet: what reads lists of labels would take that for one file.
    wanted = None if sources is None else [name.strip() for name in sources.split(",")]
    for made in paper_tables(Bench(table, sampled, k, seed), progress, wanted):
        tables.append(made)
        if not as_json:
            print_paper_table(made)
    notices(queries, quiet)
    method = RetrievalMethod(
        table, text_encoder.info, truth_name(truth), queries.left_out, k, seed, True, query_table
    )
    content = paper_results(tables, method)
    if as_json:
        print_json(content)
    if out is not None:
        write_results(out, content)
    if draw is not None and folder is not None:
        draw(tables, folder)
    for written in (out, folder):
        if written is not None and not quiet:
            notice(f"written: {written}")


def print_paper_table(table: "PaperTable") -> None:
    """One table on stdout; what is varied has no second column."""
    print_line(f"{table.name}: {table.what} (Top-1 ± half its 95 % interval / Top-5)")
    sizes = [name for name in ("probes", "k") if name != table.name]
    kinds = [f"{printable(cell.kind)} ({cell.queries:,})" for cell in table.rows[0].cells]
    rows = []
    for row in table.rows:
        numbers = {"probes": row.probes, "k": row.k}
        cells = [*(str(numbers[name]) for name in sizes), *(_cell_text(cell) for cell in row.cells)]
        rows.append([row.name, *cells])
    print_table([table.name, *sizes, *kinds], rows, frozenset([*sizes, *kinds]))
    print_line()


def _cell_text(cell: "Cell") -> str:
    half = (cell.top1.high - cell.top1.low) / 2
    return f"{cell.top1.value:.3f} ±{half:.3f} / {cell.top5.value:.3f}"
