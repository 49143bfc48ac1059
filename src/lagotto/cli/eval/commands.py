"""`lagotto eval`: how good it is on data with known answers; one file a subcommand."""

import typer

from lagotto.cli.eval.classification import classification
from lagotto.cli.eval.paper import paper
from lagotto.cli.eval.probing import probing
from lagotto.cli.eval.retrieval import retrieval

app = typer.Typer(
    help="Measure how good it is where the answers are known.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("classification")(classification)
app.command("retrieval")(retrieval)
app.command("paper")(paper)

app.command("probing")(probing)


@app.callback()
def _group() -> None:
    pass
