"""Exports of a hub that strangers forged to do harm, by name: each must be refused in one line."""

import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from lagotto.core.files import canonical_json
from lagotto.hub.publish.listing import Listing
from published_world import Members, listing_bytes, put_together, relisted, take_apart

BOMB = (
    "CREATE VIEW bomb AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT i FROM n"
)


@dataclass(frozen=True)
class Parts:
    """An honest export, taken apart, and a folder to work in."""

    listing: Listing
    members: Members
    room: Path

    def tar(self, listing: Listing | None = None, members: Members | None = None) -> Path:
        head = listing_bytes(listing or self.listing, self.room)
        return put_together(self.room / "forged.tar", head, members or self.members)

    def with_member(self, name: str, data: bytes) -> Path:
        """One whose listing has the digests of the forged bytes: only the content is false."""
        members = self.members | {name: data}
        return self.tar(relisted(self.listing, members), members)

    def with_head(self, change: dict[str, object]) -> Path:
        """One with a listing whose keys were changed; it has the digest that belongs to it."""
        content = json.loads(listing_bytes(self.listing, self.room)) | change
        content.pop("sha256")
        content["sha256"] = sha256(canonical_json(content)).hexdigest()
        return put_together(self.room / "forged.tar", canonical_json(content), self.members)

    def with_catalogue(self, *statements: str) -> Path:
        path = self.room / "catalogue.sqlite"
        path.write_bytes(self.members["catalogue.sqlite"])
        with closing(sqlite3.connect(path)) as catalogue, catalogue:
            for statement in statements:
                catalogue.execute(statement)
        return self.with_member("catalogue.sqlite", path.read_bytes())

    def with_manifest(self, **change: object) -> Path:
        content = json.loads(self.members["hub.json"]) | change
        content.pop("sha256")
        content["sha256"] = sha256(canonical_json(content)).hexdigest()
        return self.with_member("hub.json", canonical_json(content))


def parts_of(file: Path, room: Path) -> Parts:
    """An export as parts."""
    return Parts(*take_apart(file, room), room)


def _linked(kind: bytes, target: str) -> Callable[[Parts], Path]:
    def forge(parts: Parts) -> Path:
        def change(member: tarfile.TarInfo) -> None:
            if member.name == "probes/probes.jsonl":
                member.type, member.linkname, member.size = kind, target, 0

        head = listing_bytes(parts.listing, parts.room)
        return put_together(parts.room / "forged.tar", head, parts.members, change)

    return forge


def _named(name: str) -> Callable[[Parts], Path]:
    """A file of that name is listed and there."""

    def forge(parts: Parts) -> Path:
        members = parts.members | {name: b"x"}
        return parts.tar(relisted(parts.listing, members), members)

    return forge


def _lies(field: str, value: object) -> Callable[[Parts], Path]:
    """The listing says something else of the catalogue than is true."""

    def forge(parts: Parts) -> Path:
        files = [
            replace(file, **{field: value}) if file.path == "catalogue.sqlite" else file
            for file in parts.listing.files
        ]
        return parts.tar(replace(parts.listing, files=tuple(files)))

    return forge


def _without(name: str) -> Callable[[Parts], Path]:
    def forge(parts: Parts) -> Path:
        members = {key: data for key, data in parts.members.items() if not key.startswith(name)}
        return parts.tar(relisted(parts.listing, members), members)

    return forge


def _other_responses(parts: Parts) -> Path:
    first, second = [name for name in parts.members if name.startswith("responses/")][:2]
    return parts.with_member(first, parts.members[second])


def _more_at_the_end(parts: Parts) -> Path:
    path = parts.tar()
    path.write_bytes(path.read_bytes() + b"more" * 200)
    return path


def _no_tar(parts: Parts) -> Path:
    path = parts.room / "forged.tar"
    path.write_bytes(b"\x1f\x8b" + bytes(3000))
    return path


HUB_ATTACKS: dict[str, tuple[Callable[[Parts], Path], str]] = {
    "a symbolic link": (_linked(tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
    "a hard link": (_linked(tarfile.LNKTYPE, "../../secret"), "is a link"),
    "a device": (_linked(tarfile.CHRTYPE, ""), "is no plain file"),
    "a path outside": (_named("../outside.txt"), "is no file of a hub"),
    "an absolute path": (_named("/tmp/outside.txt"), "is no file of a hub"),
    "a path through a folder": (_named("probes/../../outside.txt"), "is no file of a hub"),
    "a file that runs": (_named("sitecustomize.py"), "is no file of a hub"),
    "a name with escapes": (_named("blocks/\x1b[2J.safetensors"), "is no file of a hub"),
    "a size that is a lie": (_lies("size", 10), "and 10 are listed"),
    "a size beyond the disk": (_lies("size", 1 << 62), "are free in"),
    "a negative size": (_lies("size", -1), "a size or a digest that is none"),
    "a digest that is a lie": (_lies("sha256", "0" * 64), "and 000000000000 is listed"),
    "a digest that is a path": (_lies("sha256", "../../x"), "a size or a digest that is none"),
    "a file twice": (
        lambda parts: parts.with_head(
            {"files": [[f.path, f.size, f.sha256] for f in parts.listing.files for _ in "12"]}
        ),
        "names a file twice",
    ),
    "counts of the wrong kind": (lambda p: p.with_head({"models": "many"}), "is not understood"),
    "files of the wrong kind": (lambda p: p.with_head({"files": {"a": 1}}), "has no list of files"),
    "a newer listing": (lambda p: p.with_head({"version": 2}), "upgrade with: pip install"),
    "pictures that are none": (lambda p: p.with_head({"pictures": False}), "says otherwise"),
    "other models than it says": (lambda p: p.with_head({"models": 6}), "lists 7 models"),
    "other probes than it says": (lambda p: p.with_head({"probes": 6}), "counts other probes"),
    "a newer hub": (
        lambda parts: parts.with_manifest(version=2),
        "(published with lagotto 0.1.0) has format version 2",
    ),
    "a newer catalogue": (
        lambda parts: parts.with_catalogue("PRAGMA user_version = 99"),
        "has format version 99",
    ),
    "a view without end": (lambda p: p.with_catalogue(BOMB), "it holds bomb"),
    "a table that is a view": (
        lambda parts: parts.with_catalogue("DROP TABLE runs", BOMB.replace("bomb", "runs")),
        "it holds runs",
    ),
    "a trigger": (
        lambda parts: parts.with_catalogue(
            "CREATE TRIGGER evil AFTER INSERT ON models BEGIN DELETE FROM logits; END"
        ),
        "it holds evil",
    ),
    "a label of eight megabytes": (
        lambda parts: parts.with_catalogue(
            "UPDATE logits SET label = printf('%.*c', 8388608, 'x') WHERE logit = 0"
        ),
        "too big",
    ),
    "no catalogue at all": (
        lambda parts: parts.with_member("catalogue.sqlite", b"SQLite format 3\0" + bytes(4096)),
        "catalogue",
    ),
    "a hub without responses": (_without("responses/"), "responses of 0 came with it"),
    "a hub without segments": (_without("blocks/"), "lists other segments"),
    "a hub without probes": (_without("probes/probes.jsonl"), "names no probes/probes.jsonl"),
    "the responses of another": (_other_responses, "has the responses of another"),
    "embeddings of another": (
        lambda parts: parts.with_member("probes/embeddings.npy", b"\x93NUMPY" + bytes(100)),
        "was altered",
    ),
    "more at the end": (_more_at_the_end, "holds more than its listing names"),
    "no tar": (_no_tar, "not taken"),
}
"""By name: how it is made of an honest export, and what its refusal says."""
