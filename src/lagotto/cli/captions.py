"""`lagotto captions`: make, extend, search and inspect a store of captioned pictures."""

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
from lagotto.cli.hub.opening import DEVICE, ENCODER_HELP, checked_device
from lagotto.cli.output import notice, print_json, print_line, print_table, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.core.types import JsonValue
    from lagotto.zeroshot.captions.estimate import Needs
    from lagotto.zeroshot.captions.ingest import IntakeReport
    from lagotto.zeroshot.captions.search import CaptionResults

captions_app = typer.Typer(
    help="Make a store of captioned pictures and keep it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

STORE = typer.Argument(
    metavar="STORE",
    help="The store's folder, or postgresql://USER@HOST/DATABASE?store=NAME (docs/how-to/"
    "captions-on-a-server.md).",
)
PAIRS_OPTION = typer.Option(
    ...,
    help="Folder with captions.jsonl or metadata.csv or a text beside each picture, captions as "
    "json, csv, tsv or parquet, webdataset tar, clip-retrieval folder, or text with a caption a "
    "line; may be repeated.",
)
IMAGES = typer.Option(None, help="Where the pictures that a table names are. [default: looked for]")
TEXT_ONLY = typer.Option(
    False, "--text-only", help="Take captions alone, also where pictures lie with them."
)
MOVED = typer.Option(None, help="Where the store's encoder is now, if it was moved.")


def _announce(needs: "Needs") -> None:
    for note in needs.notes:
        notice(f"note: {printable(note)}")
    free = "a server's" if needs.free_bytes is None else f"{needs.free_bytes / 1e6:,.0f} MB free"
    notice(
        f"about {needs.pictures:,} pictures and {needs.captions:,} captions: at most "
        f"{needs.disk_bytes / 1e6:,.1f} MB on disk ({free}), about "
        f"{needs.memory_bytes / 1e6:,.0f} MB of memory beside the encoder"
    )


def _report(given: str, report: "IntakeReport", quiet: bool, as_json: bool) -> None:
    from lagotto.zeroshot.captions.index_record import recall_lines
    from lagotto.zeroshot.captions.place import store_place

    store = store_place(given)
    if as_json:
        print_json({"store": str(store), **report.as_json()})
        return
    print_line(
        f"{store}: {report.pictures:,} pictures and {report.captions:,} captions added "
        f"({report.text_only:,} of them text alone), {report.folded:,} already there, "
        f"{report.set_aside:,} set aside"
    )
    if not quiet:
        notice(f"rows and files: {printable(str(report.source_count))}")
        if report.set_aside:
            where = store / "set_aside.jsonl" if isinstance(store, Path) else "its table set_aside"
            notice(f"why: {where}")
    for line in recall_lines(report.index) if report.index is not None else ():
        print_line(f"index on the server: {line}")


@captions_app.command("create")
def captions_create(
    store: str = STORE,
    pairs: list[Path] = PAIRS_OPTION,
    encoder: str = typer.Option(..., help=ENCODER_HELP),
    images: Path | None = IMAGES,
    text_only: bool = TEXT_ONLY,
    device: str = DEVICE,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Make a new store: embed pictures and captions once.

    Example: lagotto captions create my-captions --pairs photos/ --encoder clip-onnx/
    """
    from lagotto.zeroshot.captions.store import CaptionStore

    begun = CaptionStore.begin(store, encoder, checked_device(device, quiet=quiet))
    report = begun.fill(
        pairs,
        images=images,
        text_only=text_only,
        progress=bar(quiet),
        announce=None if quiet else _announce,
    )
    _report(store, report, quiet, as_json)


@captions_app.command("add")
def captions_add(
    store: str = STORE,
    pairs: list[Path] = PAIRS_OPTION,
    images: Path | None = IMAGES,
    text_only: bool = TEXT_ONLY,
    encoder: str | None = MOVED,
    device: str = DEVICE,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Add what is new; run it again to go on after a run that was cut off.

    Example: lagotto captions add my-captions --pairs more-captions.txt
    """
    from lagotto.zeroshot.captions.store import CaptionStore

    opened = CaptionStore.open(store, encoder, checked_device(device, quiet=quiet))
    report = opened.add(
        pairs,
        images=images,
        text_only=text_only,
        progress=bar(quiet),
        announce=None if quiet else _announce,
    )
    _report(store, report, quiet, as_json)


@captions_app.command("search")
def captions_search(
    store: str = STORE,
    query: str = typer.Argument(metavar="TEXT|IMAGE", help="Words, or the path of a picture."),
    top: int = typer.Option(10, min=1, help="How many of each."),
    encoder: str | None = MOVED,
    as_json: bool = JSON,
) -> None:
    """Show the captions, and for a picture also the pictures, nearest to a query.

    Example: lagotto captions search my-captions "a dog in the snow" --top 5
    """
    from lagotto.zeroshot.captions.search import search_picture, search_text
    from lagotto.zeroshot.captions.store import CaptionStore

    opened = CaptionStore.open(store, encoder)
    is_picture = Path(query).is_file()
    opened.encoder  # noqa: B018  # loaded before the clock starts
    started = time.perf_counter()
    if is_picture:
        results = search_picture(opened, Path(query), top)
    else:
        results = search_text(opened, query, top)
    elapsed_s = time.perf_counter() - started
    sources = opened.sources([caption.index for caption in results.captions])
    if not as_json:
        _print_results(results, sources)
        return
    captions: list[JsonValue] = [
        {"rank": rank, "similarity": item.similarity, "text": item.text, "source": source}
        for rank, (item, source) in enumerate(zip(results.captions, sources, strict=True), 1)
    ]
    pictures: list[JsonValue] = [
        {
            "rank": rank,
            "similarity": item.similarity,
            "source": item.source,
            "captions": list(item.captions),
        }
        for rank, item in enumerate(results.pictures, 1)
    ]
    kind = "image" if is_picture else "text"
    print_json(
        {
            "query": {"kind": kind, "value": query},
            "store": opened.name,
            "pictures": pictures,
            "captions": captions,
            "elapsed_s": round(elapsed_s, 6),
        }
    )


def _print_results(results: "CaptionResults", sources: list[str]) -> None:
    numeric = frozenset(["rank", "similarity"])
    if results.pictures:
        rows = [
            [str(rank), f"{item.similarity:.3f}", item.source, item.captions[0]]
            for rank, item in enumerate(results.pictures, 1)
        ]
        print_table(["rank", "similarity", "picture", "first caption"], rows, numeric)
        print_line()
    rows = [
        [str(rank), f"{item.similarity:.3f}", item.text, source]
        for rank, (item, source) in enumerate(zip(results.captions, sources, strict=True), 1)
    ]
    print_table(["rank", "similarity", "caption", "source"], rows, numeric)


@captions_app.command("index")
def captions_index(store: str = STORE, quiet: bool = QUIET, as_json: bool = JSON) -> None:
    """Build approximate indexes, for `classify --approximate`, and measure their recall.

    Example: lagotto captions index my-captions
    """
    from lagotto.zeroshot.captions.index import index_store
    from lagotto.zeroshot.captions.index_record import recall_lines
    from lagotto.zeroshot.captions.store import CaptionStore

    record, built = index_store(CaptionStore.open(store), bar(quiet))
    if as_json:
        print_json({"built": built, **record.as_json()})
        return
    for line in recall_lines(record):
        print_line(line)
    if not built and not quiet:
        notice("note: the indexes were there already, and the store has not changed since")


@captions_app.command("status")
def captions_status(store: str = STORE, as_json: bool = JSON) -> None:
    """Show pictures, captions, encoder, disk used and what was set aside.

    Example: lagotto captions status my-captions
    """
    from lagotto.zeroshot.captions.index_record import recall_lines
    from lagotto.zeroshot.captions.status import read_store_status
    from lagotto.zeroshot.captions.store import CaptionStore

    opened = CaptionStore.open(store)
    status = read_store_status(opened)
    if as_json:
        print_json(status.as_json())
        return
    print_line(f"store     {opened.name} (format version {status.format_version})")
    print_line(f"encoder   {printable(status.encoder)} ({status.encoder_fingerprint[:12]})")
    print_line(f"pictures  {status.pictures:,}")
    print_line(f"captions  {status.captions:,}, {status.text_only:,} of them text alone")
    print_line(f"shards    {status.shards}")
    print_line(f"disk      {status.disk_bytes / 1e6:.1f} MB")
    print_line(f"set aside {status.set_aside:,}")
    record = opened.content.index_record()
    for line in recall_lines(record) if record is not None else ():
        print_line(f"index     {line}")
    if status.leftovers:
        size = sum(item.bytes for item in status.leftovers) / 1e6
        print_line(
            f"leftovers {len(status.leftovers)} of runs that were killed, {size:.1f} MB; removed "
            "by the next lagotto captions add"
        )
    for item in status.first_set_aside:
        print_line(f"  {printable(item['source'])}: {printable(item['reason'])}")


@captions_app.command("verify")
def captions_verify(store: str = STORE, as_json: bool = JSON) -> None:
    """Read all of a store and name what is damaged; exit code 1 if anything is.

    Example: lagotto captions verify my-captions
    """
    from lagotto.zeroshot.captions.storage.places import storage_at

    storage = storage_at(store)
    damaged = storage.verify()
    removed = [asdict(item) for item in storage.tidy()]
    if as_json:
        print_json({"store": storage.name, "damaged": [*damaged], "leftovers_removed": [*removed]})
    elif not damaged:
        print_line(f"{storage.name}: every file is as it was written")
    for line in damaged if not as_json else ():
        print_line(f"damaged: {printable(line)}")
    for item in removed if not as_json else ():
        print_line(f"removed: {printable(str(item['path']))}, left by a run that was killed")
    if damaged:
        raise typer.Exit(1)


@captions_app.command("repair")
def captions_repair(store: str = STORE, quiet: bool = QUIET, as_json: bool = JSON) -> None:
    """Find the captions again of which a damaged or lost shards.jsonl no longer tells.

    Example: lagotto captions repair my-captions
    """
    from lagotto.zeroshot.captions.place import store_place
    from lagotto.zeroshot.captions.repair import BACKUP_NAME, repair_store

    folder = store_place(store)
    if not isinstance(folder, Path):
        raise UsageError(
            f"{folder} lies on a server, which writes a shard whole or not at all: there is "
            "nothing to repair; lagotto captions verify reads all of it"
        )
    report = repair_store(folder)
    if as_json:
        print_json({"store": str(folder), **report.as_json()})
        return
    if not report.changed:
        print_line(f"{folder}: nothing to repair, {report.kept_shards} shards are in the log")
        return
    print_line(
        f"{folder}: {report.captions:,} captions and {report.pictures:,} pictures found again "
        f"behind {report.kept_shards} shards; {report.removed_bytes:,} bytes of unfinished rows "
        "removed"
    )
    if not quiet and (folder / BACKUP_NAME).exists():
        notice(f"the log as it was: {folder / BACKUP_NAME}")
