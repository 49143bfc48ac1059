"""`lagotto hub export | import | push` come in; a hub elsewhere, and what is in it, goes out."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import ANY_HUB, JSON, QUIET, bar
from lagotto.cli.output import notice, print_json, print_line, printable

if TYPE_CHECKING:
    from lagotto.core.types import JsonObject
    from lagotto.hub.publish.archive import Published

_WITHOUT = typer.Option(
    False, "--without-pictures", help="Leave out the probes' pictures: their licence may forbid it."
)


def hub_export(
    hub: Path = ANY_HUB,
    file: Path = typer.Argument(metavar="FILE.tar", help="The tar to write."),
    without_pictures: bool = _WITHOUT,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Write a hub to one tar that others can import; it names no path of this machine.

    Equal content gives equal bytes.

    Example: lagotto hub export my-hub my-hub.tar
    """
    from lagotto.hub.publish.address import local_hub
    from lagotto.hub.publish.archive import export_hub

    meter = bar(quiet)
    folder = local_hub(hub, meter).folder
    done = export_hub(folder, file, meter, pictures=not without_pictures)
    _print_published(hub, done, "written", quiet, as_json)


def hub_import(
    source: str = typer.Argument(
        metavar="FILE.tar|ADDRESS", help="A tar of hub export, or hf:datasets/ORG/NAME, s3://..."
    ),
    folder: Path = typer.Argument(metavar="DIR", help="Where the hub is made."),
    encoder: str | None = typer.Option(
        None, help="Where the hub's encoder is on this machine. [default: as its maker named it]"
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Make a hub of your own from a published one; every file is checked by its SHA-256.

    Example: lagotto hub import their-hub.tar my-copy
    """
    from lagotto.hub.publish.address import import_hub
    from lagotto.hub.reader.status import read_hub_status
    from lagotto.hub.store.copies.origin import read_origin
    from lagotto.hub.store.layout import HubLayout
    from lagotto.hub.store.manifest import read_hub_manifest

    import_hub(source, folder, bar(quiet), encoder=encoder)
    status = read_hub_status(HubLayout(folder), read_hub_manifest(folder), with_models=False)
    origin = read_origin(folder)
    if as_json:
        fields = {"models": status.done, "probes": status.probes, "pictures": origin.pictures}
        print_json({"hub": str(folder), "from": origin.address, **fields})
        return
    print_line(
        f"{printable(str(folder))}: {status.done} models on {status.probes} probes, from "
        f"{printable(origin.address)}"
    )
    if not origin.pictures and not quiet:
        notice("note: the probes' pictures are not in it: no model can be added to it")


def hub_push(
    hub: Path = ANY_HUB,
    address: str = typer.Argument(
        metavar="ADDRESS", help="hf:datasets/ORG/NAME, or s3://BUCKET/PREFIX (extra `s3`)."
    ),
    private: bool = typer.Option(False, "--private", help="Make the dataset private if it is new."),
    without_pictures: bool = _WITHOUT,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Publish a hub, so that others search it by its address; run it again to resume or to renew.

    What is there already is not sent again. The listing is sent last.

    Example: lagotto hub push my-hub hf:datasets/my-org/my-hub --without-pictures
    """
    from lagotto.hub.publish.address import local_hub
    from lagotto.hub.publish.push import push_hub

    meter = bar(quiet)
    folder = local_hub(hub, meter).folder
    done = push_hub(folder, address, meter, private=private, pictures=not without_pictures)
    _print_published(hub, done, "sent", quiet, as_json)


def _print_published(hub: Path, done: "Published", verb: str, quiet: bool, as_json: bool) -> None:
    if as_json:
        lists: JsonObject = {"licences": [*done.licences], "notes": [*done.notes]}
        print_json({"hub": str(hub), **asdict(done), **lists})
        return
    pictures = "with" if done.pictures else "without"
    print_line(
        f"{printable(done.place)}: {done.models} models, {done.files} files {pictures} pictures, "
        f"{done.bytes / 1e6:.1f} MB; {done.sent / 1e6:.1f} MB {verb}"
    )
    for licence in done.licences:
        print_line(f"  probes of {printable(licence)}")
    for note in () if quiet else done.notes:
        notice(f"note: {printable(note)}")
