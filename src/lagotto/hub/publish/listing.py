"""PLACE/published.json comes in; the files of a published hub go out, with sizes and digests.

It is the last file that a push writes, and the first that a fetch reads. Files are listed in the
order in which they lie in packs: plain tars, each named by its sha256, so that a hub which has
grown shares the packs of what was there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from lagotto.core.errors import HubError
from lagotto.core.manifest import ManifestForm
from lagotto.core.types import JsonObject, JsonValue

LISTING_NAME = "published.json"
MAX_LISTING_BYTES = 256 << 20
"""Of published.json: a million models take about as much."""

_FORM = ManifestForm(
    noun="published hub",
    file=LISTING_NAME,
    format="lagotto-published",
    version=1,
    create="lagotto hub push HUB {}",
    error=HubError,
)
_DIGEST = r"[0-9a-f]{64}"
_SHA256 = re.compile(_DIGEST)
_PATHS = re.compile(
    r"hub\.json|catalogue\.sqlite"
    r"|probes/(probes\.jsonl|set_aside\.jsonl|source_count\.json|datasets\.json|embeddings\.npy)"
    rf"|blocks/[0-9]{{6,12}}\.safetensors|responses/{_DIGEST}\.safetensors"
    r"|(background|label_embeddings|rivals|twins|completion|low_rank)\.safetensors"
    rf"|probes/pictures/[0-9a-f]{{2}}/{_DIGEST}"
)
REQUIRED = (
    *("hub.json", "catalogue.sqlite", "probes/probes.jsonl", "probes/set_aside.jsonl"),
    "probes/embeddings.npy",
)


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of a hub: its path there, its size and its sha256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pack:
    """A tar of some of the files, in the order of the listing; its name is its sha256."""

    sha256: str
    size: int
    files: int

    @property
    def name(self) -> str:
        """Where it is, under the place of the hub."""
        return f"packs/{self.sha256}.tar"


@dataclass(frozen=True, slots=True)
class ProbeLicence:
    """A dataset that probes are from, at a commit, and the licence that it states."""

    source: str
    commit: str
    licence: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a published hub consists of.

    Attributes:
        lagotto: the version of Lagotto that published it.
        models: how many were probed.
        probes: how many pictures they saw.
        encoder: the name of the encoder.
        pictures: whether the pictures of the probes are among the files.
        licences: of the datasets that the probes are from; empty for pictures of a folder.
        files: every file of the hub.
        packs: the tars that hold them; none in an archive, which is one tar itself.
    """

    lagotto: str
    models: int
    probes: int
    encoder: str
    pictures: bool
    licences: tuple[ProbeLicence, ...]
    files: tuple[PublishedFile, ...]
    packs: tuple[Pack, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

    def in_packs(self) -> list[tuple[Pack, tuple[PublishedFile, ...]]]:
        """Each pack with the files that it holds."""
        ends = [*accumulate(pack.files for pack in self.packs)]
        return [
            (pack, self.files[end - pack.files : end])
            for pack, end in zip(self.packs, ends, strict=True)
        ]


def write_listing(folder: Path, listing: Listing) -> None:
    """Writes FOLDER/published.json; equal content gives equal bytes."""
    licences: list[JsonValue] = [
        {"source": item.source, "commit": item.commit, "licence": item.licence}
        for item in listing.licences
    ]
    content: JsonObject = {
        "lagotto": listing.lagotto,
        "models": listing.models,
        "probes": listing.probes,
        "encoder": listing.encoder,
        "pictures": listing.pictures,
        "licences": licences,
        "files": [[file.path, file.size, file.sha256] for file in listing.files],
        "packs": [[pack.sha256, pack.size, pack.files] for pack in listing.packs],
    }
    _FORM.write(folder, content)


def read_listing(folder: Path, place: str) -> Listing:
    """The listing in FOLDER/published.json, which came from a place; nothing of it is believed.

    Raises:
        HubError: There is none, it is damaged, of a newer version, names files that no hub has, or
            its numbers do not fit each other. The message names the place.
    """
    try:
        content = _FORM.read(folder)
        _FORM.check_digest(folder, content)
        return _parse(content)
    except HubError as error:
        raise HubError(str(error).replace(str(folder), place)) from error
    except (ValueError, TypeError, KeyError) as error:
        raise HubError(
            f"{place} is not taken: its {LISTING_NAME} {error}; ask its maker to push it again"
        ) from error


def _parse(content: JsonObject) -> Listing:
    """The listing in a JSON object; ValueError, TypeError or KeyError for anything else."""
    files = tuple(PublishedFile(*_row(row, (str, int, str))) for row in _rows(content, "files"))
    packs = tuple(Pack(*_row(row, (str, int, int))) for row in _rows(content, "packs"))
    licences = tuple(_licence(row) for row in _rows(content, "licences"))
    _check_files(files, packs)
    names = ("lagotto", "models", "probes", "encoder", "pictures")
    kinds = (str, int, int, str, bool)
    facts: Any = dict(zip(names, _row([content.get(name) for name in names], kinds), strict=True))
    listing = Listing(**facts, licences=licences, files=files, packs=packs)
    held = any(file.path.startswith("probes/pictures/") for file in files)
    if held != listing.pictures:
        raise ValueError("says otherwise than its files whether pictures are among them")
    return listing


def _check_files(files: Sequence[PublishedFile], packs: Sequence[Pack]) -> None:
    paths = [file.path for file in files]
    for path in paths:
        if not _PATHS.fullmatch(path):
            raise ValueError(f"names {path[:120]!r}, which is no file of a hub")
    if len(set(paths)) != len(paths):
        raise ValueError("names a file twice")
    missing = [path for path in REQUIRED if path not in set(paths)]
    if missing:
        raise ValueError(f"names no {', '.join(missing)}")
    told = [(item.size, item.sha256) for item in files]
    for size, sha256 in [*told, *((pack.size, pack.sha256) for pack in packs)]:
        if size < 0 or not _SHA256.fullmatch(sha256):
            raise ValueError("has a size or a digest that is none")
    if packs and (
        any(pack.files < 1 for pack in packs) or sum(pack.files for pack in packs) != len(files)
    ):
        raise ValueError("has packs that do not hold its files")


def _rows(content: JsonObject, key: str) -> list[JsonValue]:
    rows = content[key]
    if not isinstance(rows, list):
        raise ValueError(f"has no list of {key}")
    return rows


def _row(row: JsonValue, kinds: tuple[type, ...]) -> list[Any]:
    if not isinstance(row, list) or [type(value) for value in row] != [*kinds]:
        raise ValueError("has a row that is not understood")
    return [*row]


def _licence(row: JsonValue) -> ProbeLicence:
    match row:
        case {"source": str(source), "commit": str(commit), "licence": str(licence)}:
            return ProbeLicence(source, commit, licence)
    raise ValueError("has a licence that is not understood")
