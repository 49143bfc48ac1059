"""A hub and an address come in; the hub is published there, the listing last."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lagotto.core.files import sha256_file, write_atomically, writing
from lagotto.core.progress import Progress
from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.core.text.clean import clean_text
from lagotto.hub.publish.archive import Published, summary
from lagotto.hub.publish.contents import Contents, published_contents
from lagotto.hub.publish.listing import LISTING_NAME, Listing, Pack, PublishedFile, write_listing
from lagotto.hub.publish.places import parse_address, place_at
from lagotto.hub.publish.tar_stream import write_end, write_member

CARD_NAME = "README.md"
_PACK_BYTES = 64 << 20
"""Of the files in one pack, about: a fetch that is cut off begins the pack anew at most."""


def push_hub(
    folder: Path,
    address: Path | str,
    progress: Progress,
    *,
    private: bool = False,
    pictures: bool = True,
) -> Published:
    """Publishes a hub; a push that is cut off leaves the state before, and is resumed.

    Args:
        folder: The hub.
        address: `hf:datasets/ORG/NAME` or `s3://BUCKET/PREFIX`.
        progress: Told of the work.
        private: Of a dataset that is made: only its owner sees it.
        pictures: Whether the pictures of the probes are published too.

    Raises:
        UsageError: The address is not understood.
        HubError: There is no hub, it is damaged, or another process writes to it.
        SourceError: The place refuses, or does not answer.
    """
    target = parse_address(address)
    place = place_at(target)
    with (
        published_contents(folder, progress, pictures=pictures) as contents,
        temporary_folder("push") as room,
    ):
        packed: list[tuple[Pack, tuple[PublishedFile, ...]]] = []
        listing = contents.listing

        def packs() -> Iterator[tuple[Pack, Path]]:
            for members in _groups(contents):
                path = room / "pack.tar"
                pack = _write_pack(path, members)
                packed.append((pack, tuple(item for item, _ in members)))
                yield pack, path
                progress.advance(sum(item.size for item, _ in members))

        def last() -> dict[str, Path]:
            nonlocal listing
            files = tuple(item for _, items in packed for item in items)
            listing = replace(listing, files=files, packs=tuple(pack for pack, _ in packed))
            write_listing(room, listing)
            write_atomically(room / CARD_NAME, _card(listing, str(target)).encode())
            return {CARD_NAME: room / CARD_NAME, LISTING_NAME: room / LISTING_NAME}

        progress.start("publishing the hub", listing.size, "bytes")
        sent = place.publish(packs(), last, private=private)
        progress.finish()
        return summary(sent.address, listing, sent.bytes, contents.notes)


def _write_pack(path: Path, members: Sequence[tuple[PublishedFile, Path]]) -> Pack:
    """Writes a tar of some files; it replaces the one that was there."""
    with writing(path), path.open("wb") as out:
        for item, source in members:
            write_member(out, item, source)
        write_end(out)
    return Pack(sha256_file(path), path.stat().st_size, len(members))


def _groups(contents: Contents) -> Iterator[tuple[tuple[PublishedFile, Path], ...]]:
    """The files in groups: a segment is one, files of a kind are together, in their order.

    So models that are added change the last group of responses, and few others.
    """
    kinds: dict[str, list[tuple[PublishedFile, Path]]] = {}
    for item, source in zip(contents.listing.files, contents.sources, strict=True):
        folder = item.path.split("/")[0]
        if item.path.startswith("probes/pictures/"):
            folder = "pictures"
        kind = item.path if folder == "blocks" else folder
        kind = kind if folder in ("blocks", "responses", "pictures", "probes") else "the rest"
        kinds.setdefault(kind, []).append((item, source))
    for members in kinds.values():
        yield from _cut(members)


def _cut(
    members: Sequence[tuple[PublishedFile, Path]],
) -> Iterator[tuple[tuple[PublishedFile, Path], ...]]:
    group: list[tuple[PublishedFile, Path]] = []
    size = 0
    for item, source in members:
        if group and size + item.size > _PACK_BYTES:
            yield tuple(group)
            group, size = [], 0
        group.append((item, source))
        size += item.size
    if group:
        yield tuple(group)


def _card(listing: Listing, address: str) -> str:
    """The page of a published hub. Names that others chose are not in it, but for the encoder's."""
    pictures = "" if listing.pictures else " The pictures are not published."
    licences = [
        f"- {_plain(item.source)}: {_plain(item.licence) or 'no licence stated'}"
        for item in listing.licences
    ] or ["- pictures of a folder; their licence is the publisher's to say"]
    lines = [
        *("---", "tags:", "- lagotto-hub", "---", "", "# A hub of image classifiers", ""),
        f"{listing.models} models, probed on {listing.probes} pictures; encoder "
        f"`{_plain(listing.encoder)}`.{pictures}",
        *("", "```", "pip install lagotto", f'lagotto search {address} "a dog"', "```", ""),
        *("The probes:", "", *licences, ""),
        f"Published with lagotto {listing.lagotto}. `{LISTING_NAME}` lists every file with its "
        "size and SHA-256.",
    ]
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """Text of others on one line, without what markup is made of."""
    return "".join(c for c in clean_text(text) if c.isalnum() or c in " ./:@+-_,")[:200]
