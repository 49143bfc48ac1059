"""Stage 1 of hub search, stored: a fixed, ordered, content-addressed set of pictures in a folder.

FOLDER/probes.jsonl           a header, then one probe a line in order (written last)
FOLDER/set_aside.jsonl        what did not become a probe, and why
FOLDER/pictures/ab/abcd...    each probe's file as it was, named by its sha256
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import HubError, ProbeError, UsageError
from lagotto.core.files import canonical_json, sha256_file, write_atomically, writing
from lagotto.core.types import JsonObject, JsonValue, Probe, Skipped
from lagotto.hub.probes.select import choose_probes, read_probe_source

_FORMAT = "lagotto-probes"
_VERSION = 1
PROBES_NAME = "probes.jsonl"
SET_ASIDE_NAME = "set_aside.jsonl"
PICTURES_NAME = "pictures"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ProbeSetHeader:
    """The identity of a stored probe set: digest of the ordered pictures, and their number."""

    digest: str
    count: int


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """The probes of a folder, in order. `digest` changes with any picture or with their order."""

    digest: str
    probes: tuple[Probe, ...]
    folder: Path

    @classmethod
    def create(
        cls,
        folder: Path,
        sources: Sequence[Path],
        max_probes: int | None = None,
        seed: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> "tuple[ProbeSet, list[Skipped]]":
        """Chooses probes from the sources, in the order given, and stores them in a folder.

        The same sources, max_probes and seed give the same bytes. `on_progress` is told the probes
        found and the most there can be. Raises UsageError for a source
        that is not there, ProbeError where no set of probes results, HubError where it cannot be
        written: the folder then may hold pictures, but no list, so it does not open.
        """
        if (folder / PROBES_NAME).exists():
            raise UsageError(f"{folder} holds a probe set already; choose another folder")
        if not sources:
            raise UsageError("no probes given; give an image folder, a .jsonl or a .parquet file")
        candidates = [each for source in sources for each in read_probe_source(source)]
        if not candidates:
            places = ", ".join(str(source) for source in sources)
            raise ProbeError(f"no pictures in {places}; give a place that holds some")

        def keep(digest: str, data: bytes) -> None:
            path = _picture_path(folder, digest)
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

        chosen = choose_probes(candidates, max_probes, seed, keep, on_progress)
        aside: list[JsonValue] = [_aside_to_json(each) for each in chosen.set_aside]
        write_atomically(folder / SET_ASIDE_NAME, _lines(aside))
        digest = probe_set_digest(chosen.probes)
        header: JsonObject = {
            "format": _FORMAT,
            "version": _VERSION,
            "digest": digest,
            "count": len(chosen.probes),
        }
        lines = _lines([header, *(_probe_to_json(probe) for probe in chosen.probes)])
        write_atomically(folder / PROBES_NAME, lines)
        return cls(digest, chosen.probes, folder), list(chosen.set_aside)

    @classmethod
    def open(cls, folder: Path) -> "ProbeSet":
        """The probe set of a folder. HubError: none there, damaged, altered, or a newer version."""
        header = read_header(folder)
        path = folder / PROBES_NAME
        try:
            lines = path.read_bytes().splitlines()[1:]
            probes = tuple(_probe_from_json(json.loads(line)) for line in lines)
        except (OSError, ValueError, RecursionError) as error:
            raise HubError(f"{path} is damaged: {error}; {_RESTORE}") from error
        if len(probes) != header.count or probe_set_digest(probes) != header.digest:
            raise HubError(f"{path} was altered: its probes do not give its digest; {_RESTORE}")
        return cls(header.digest, probes, folder)

    def picture(self, index: int) -> bytes:
        """The file of one probe, checked against its digest; HubError if missing or altered."""
        probe = self.probes[index]
        try:
            data = _picture_path(self.folder, probe.digest).read_bytes()
        except OSError as error:
            raise HubError(f"probe {index} ({probe.source}) is missing; {_RESTORE}") from error
        if hashlib.sha256(data).hexdigest() != probe.digest:
            raise HubError(f"probe {index} ({probe.source}) was altered; {_RESTORE}")
        return data

    def skipped(self) -> list[Skipped]:
        """What was set aside when the set was made. HubError if that list is missing or damaged."""
        path = self.folder / SET_ASIDE_NAME
        try:
            rows = [json.loads(line) for line in path.read_bytes().splitlines()]
            return [Skipped(str(row["source"]), str(row["reason"])) for row in rows]
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise HubError(f"cannot read {path}: {type(error).__name__}; {_RESTORE}") from error

    def verify(self) -> list[str]:
        """One line for each thing that is damaged, missing or altered; empty if all is well."""
        found: list[str] = []
        try:
            if read_header(self.folder).digest != self.digest:
                found.append(f"{PROBES_NAME}: holds another probe set than the one opened")
            ProbeSet.open(self.folder)
            self.skipped()
        except HubError as error:
            found.append(str(error))
        for index, probe in enumerate(self.probes):
            path = _picture_path(self.folder, probe.digest)
            name = f"probe {index} ({probe.source}), {path.relative_to(self.folder).as_posix()}"
            if not path.is_file():
                found.append(f"{name}: missing")
                continue
            try:
                if sha256_file(path) != probe.digest:
                    found.append(f"{name}: altered")
            except HubError as error:
                found.append(f"{name}: {error}")
        return found


_RESTORE = "restore it from a copy or create the hub anew"


def read_header(folder: Path) -> ProbeSetHeader:
    """Digest and number of the probes in a folder, without reading their list.

    Raises HubError if there is no probe set, its header is damaged, or its version is newer.
    """
    path = folder / PROBES_NAME
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
    except OSError as error:
        raise HubError(f"no probe set at {folder}: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HubError(f"{path} is damaged: its header is not JSON; {_RESTORE}") from error
    match header:
        case {"format": "lagotto-probes", "version": int(version)} if version > _VERSION:
            raise HubError(
                f"{path} has format version {version} and this Lagotto reads up to {_VERSION}; "
                "upgrade with: pip install --upgrade lagotto"
            )
        case {"format": "lagotto-probes", "version": 1, "digest": str(digest), "count": int(count)}:
            return ProbeSetHeader(digest, count)
        case _:
            raise HubError(f"{path} is damaged: its header is not a probe set's; {_RESTORE}")


def probe_set_digest(probes: Sequence[Probe]) -> str:
    """sha256 over the 32-byte picture digests in order; sources and captions do not count."""
    whole = hashlib.sha256()
    for probe in probes:
        whole.update(bytes.fromhex(probe.digest))
    return whole.hexdigest()


def _picture_path(folder: Path, digest: str) -> Path:
    return folder / PICTURES_NAME / digest[:2] / digest


def _lines(values: Sequence[JsonValue]) -> bytes:
    return b"".join(canonical_json(value) + b"\n" for value in values)


def _aside_to_json(each: Skipped) -> JsonObject:
    return {"source": each.source, "reason": each.reason}


def _probe_to_json(probe: Probe) -> JsonObject:
    return {"digest": probe.digest, "source": probe.source, "captions": list(probe.captions)}


def _probe_from_json(row: JsonValue) -> Probe:
    """The probe in a line; ValueError for anything else, so that no line names a foreign path."""
    match row:
        case {"digest": str(digest), "source": str(source), "captions": list(captions)}:
            if _SHA256.fullmatch(digest) and all(isinstance(text, str) for text in captions):
                return Probe(digest, source, tuple(str(text) for text in captions))
    raise ValueError("a line is not a probe")
