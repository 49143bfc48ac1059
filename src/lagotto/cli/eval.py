"""`lagotto eval`: how good it is on data with known answers; one file a subcommand."""

import typer

from lagotto.cli.eval_classification import classification

app = typer.Typer(
    help="Measure how good it is on labelled data.", no_args_is_help=True, rich_markup_mode=None
)
app.command("classification")(classification)


@app.callback()
def _group() -> None:
    pass
