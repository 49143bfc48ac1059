"""`lagotto serve`: pages for people and a REST API for scripts, over one hub."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import ANY_HUB, QUIET
from lagotto.cli.hub.opening import open_hub, open_own_hub
from lagotto.cli.output import notice, print_line, printable
from lagotto.core.arguments.extras import load_extra

if TYPE_CHECKING:
    from lagotto.web.options import ServerOptions

_NEEDED = ("fastapi", "uvicorn", "jinja2", "python_multipart")


def serve_command(
    hub: Path = ANY_HUB,
    captions: str | None = typer.Option(
        None,
        metavar="STORE",
        help="A caption store of the hub's encoder, for classifications: its folder or "
        "postgresql:// address.",
    ),
    host: str = typer.Option(
        "127.0.0.1", help="The address to listen on; one that others reach needs --token."
    ),
    port: int = typer.Option(8765, min=0, max=65535, help="The port; 0 takes a free one."),
    allow_host: list[str] | None = typer.Option(
        None,
        metavar="NAME",
        help="Another name under which clients reach the server, such as that of a proxy; may be "
        "repeated.",
    ),
    allow_add: bool = typer.Option(False, "--allow-add", help="Let clients add models to the hub."),
    token: str | None = typer.Option(
        None,
        metavar="auto|FILE",
        help="Serve only those who show a token: a new one, or the first line of a file.",
    ),
    open_page: bool = typer.Option(False, "--open", help="Open the page in a browser."),
    encoder: str | None = typer.Option(
        None, help="Where the hub's encoder is now, if it was moved."
    ),
    quiet: bool = QUIET,
) -> None:
    """Serve a hub: a page where people look, and a REST API that scripts call.

    The address goes to stdout. Ctrl-C stops the server.

    Example: lagotto serve my-hub --captions my-captions
    """
    check_extra()
    hub = (open_own_hub if allow_add else open_hub)(hub, encoder, quiet=quiet).folder
    from lagotto.web.options import ServerOptions, read_token
    from lagotto.zeroshot.captions.place import store_place

    options = ServerOptions(
        captions=None if captions is None else store_place(captions),
        host=host,
        port=port,
        hosts=tuple(allow_host or ()),
        allow_add=allow_add,
        token=read_token(token),
        encoder=encoder,
    )
    run_server(hub, options, open_page=open_page, quiet=quiet)


def check_extra() -> None:
    """Raises MissingExtraError, with the pip line, unless the extra `web` is installed."""
    for module in _NEEDED:
        load_extra(module, "web", "lagotto serve")


def run_server(hub: Path, options: "ServerOptions", *, open_page: bool, quiet: bool) -> None:
    """Serves a hub until it is stopped; prints the address on stdout."""
    from lagotto.web.server import serve as run

    def tell(address: str) -> None:
        print_line(printable(address))
        if not quiet:
            notice(f"serving {printable(str(hub))}; Ctrl-C stops it")
        if open_page:
            import webbrowser

            webbrowser.open(address)

    run(hub, options, on_address=tell)
