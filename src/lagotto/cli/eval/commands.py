"""`lagotto eval`: accuracy on data with known answers; one file a subcommand."""

import typer

from lagotto.cli.eval.classification import classification
from lagotto.cli.eval.paper import eval_paper
from lagotto.cli.eval.probing import probing
from lagotto.cli.eval.retrieval import retrieval

eval_app = typer.Typer(
    help="Measure accuracy on data with known answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
eval_app.command("classification")(classification)
eval_app.command("retrieval")(retrieval)
eval_app.command("paper")(eval_paper)

eval_app.command("probing")(probing)


@eval_app.callback()
def _group() -> None:
    pass
