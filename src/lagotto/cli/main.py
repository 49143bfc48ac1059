"""The entry point: registers the command groups and turns errors into one line and an exit code."""

import errno
import os
import sys

import typer
import typer.main

from lagotto.cli import (
    audit,
    captions,
    classify,
    demo,
    describe,
    doctor,
    duplicates,
    inspect,
    search,
)
from lagotto.cli.eval import commands as eval_commands
from lagotto.cli.hub import commands as hub_commands
from lagotto.cli.hub import create as hub_create
from lagotto.cli.hub import encoders as hub_encoders
from lagotto.cli.hub import grow as hub_grow
from lagotto.cli.hub import index as hub_index
from lagotto.cli.hub import merge as hub_merge
from lagotto.cli.hub import plan as hub_plan
from lagotto.cli.hub import probes as hub_probes
from lagotto.cli.hub import publish as hub_publish
from lagotto.cli.hub import status as hub_status
from lagotto.cli.output import (
    flush,
    give_up_stdout,
    notice,
    printable,
    refused_by_system,
    unwritten_answer,
)
from lagotto.cli.terminal.completion import ASKED, answer_shell, completion
from lagotto.cli.terminal.progress import end_progress
from lagotto.cli.terminal.signals import stop_code, stop_on_signals
from lagotto.cli.terminal.start import FIRST_PAGE
from lagotto.cli.terminal.streams import fill_closed_streams
from lagotto.cli.web import serve
from lagotto.core.errors import LagottoError, help_page
from lagotto.core.machine import allow_open_files
from lagotto.core.temporary.leftovers import sweep_system_folder

app = typer.Typer(
    name="lagotto",
    help="Find the image classifier that already knows your concept, by behaviour alone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
hub_commands.hub_app.command("create")(hub_create.hub_create)
hub_commands.hub_app.command("grow")(hub_grow.hub_grow)
hub_commands.hub_app.command("index")(hub_index.hub_index)
hub_commands.hub_app.command("merge")(hub_merge.hub_merge)
hub_commands.hub_app.command("plan")(hub_plan.hub_plan)
hub_commands.hub_app.command("export")(hub_publish.hub_export)
hub_commands.hub_app.command("import")(hub_publish.hub_import)
hub_commands.hub_app.command("push")(hub_publish.hub_push)
hub_commands.hub_app.command("status")(hub_status.hub_status)
app.add_typer(hub_commands.hub_app, name="hub")
app.add_typer(captions.captions_app, name="captions")
app.add_typer(hub_probes.probes_app, name="probes")
app.command("search")(search.search_command)
app.command("describe")(describe.describe)
app.command("audit")(audit.audit)
app.command("duplicates")(duplicates.duplicates_command)
app.command("inspect")(inspect.inspect_command)
app.command("classify")(classify.classify_command)
app.add_typer(eval_commands.eval_app, name="eval")
app.command("encoders")(hub_encoders.encoders)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve_command)
app.command("doctor")(doctor.doctor_command)
app.command("completion")(completion)

_WRONG_CALL = 2


def _version(requested: bool | None) -> None:
    if requested:
        from lagotto import __version__

        typer.echo(f"lagotto {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool | None = typer.Option(
        None, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Runs the command line: exit 0, 1 for an error of ours, 2 for a wrong call.

    Without a command it says what to do first, and ends with 2. A command that a signal stops ends
    with 128 and the number of the signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    fill_closed_streams()
    if ASKED in os.environ:
        answer_shell(typer.main.get_command(app), sys.argv[1:], os.environ[ASKED])
        return
    if len(sys.argv) == 1:
        sys.stderr.write(FIRST_PAGE)
        sys.exit(_WRONG_CALL)
    stop_on_signals()
    allow_open_files()
    sweep_system_folder()
    try:
        try:
            app()
        except (OSError, RuntimeError) as error:
            refused = _refused(error)
            if refused is None:
                raise
            raise refused from error
        finally:
            end_progress()
            flush()
    except LagottoError as error:
        notice(f"lagotto: {_with_page(error)}")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as stop:
        code = stop_code()
        if code is not None:
            sys.exit(code)
        if isinstance(stop, KeyboardInterrupt):
            sys.exit(130)
        raise
    except BrokenPipeError:
        give_up_stdout()
        sys.exit(1)


def _refused(error: OSError | RuntimeError) -> LagottoError | None:
    """What to say of what the system refused; None for any other error."""
    if isinstance(error, RuntimeError):  # a pathlib before 3.13 says a loop of links by this error
        loop = error.__context__
        if isinstance(loop, OSError) and loop.errno == errno.ELOOP:
            return refused_by_system(loop)
        return None
    if error.errno == errno.EBADF:  # help is not written by print_line
        give_up_stdout()
        return unwritten_answer(error)
    return refused_by_system(error)


def _with_page(error: LagottoError) -> str:
    """The message in one line, with the page that explains the error unless it names one itself."""
    text = printable(str(error))
    return text if "docs/" in text else f"{text} [{help_page(error)}]"


if __name__ == "__main__":
    main()
