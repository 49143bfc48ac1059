"""Picture sources come in; a folder with a fixed, ordered set of probes goes out, and is read back.

FOLDER/probes.jsonl           a header, then one probe a line in order (written last)
FOLDER/set_aside.jsonl        the pictures that were skipped, and why
FOLDER/source_count.json      how many pictures and other files the sources held
FOLDER/datasets.json          the datasets that probes are from: commit and licence; absent without
FOLDER/pictures/ab/abcd...    the file of each probe, unchanged, named by its sha256
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

from lagotto.core.errors import HubError, ProbeError, UsageError, unreadable
from lagotto.core.files import canonical_json, read_json, sha256_file, write_atomically, writing
from lagotto.core.sources.count import SourceCount, told
from lagotto.core.types import Credit, JsonObject, JsonValue, Probe, Skipped
from lagotto.hub.probes.candidate import ProbeCandidate
from lagotto.hub.probes.datasets.sample import DatasetFacts, DatasetSample
from lagotto.hub.probes.select import SampledProbes, sample_probes
from lagotto.hub.probes.sources import read_probe_source

_FORMAT = "lagotto-probes"
_VERSION = 1
PROBES_NAME = "probes.jsonl"
SKIPPED_NAME = "set_aside.jsonl"
COUNT_NAME = "source_count.json"
DATASETS_NAME = "datasets.json"
PICTURES_NAME = "pictures"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ProbeSetHeader:
    """The identity of a stored probe set: the digest of its ordered pictures, and their number."""

    digest: str
    count: int


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """The probes of a folder, in order.

    `digest` identifies the pictures and their order; sources and captions do not count.
    """

    digest: str
    probes: tuple[Probe, ...]
    folder: Path

    @classmethod
    def create(
        cls,
        folder: Path,
        sources: Sequence[Path | DatasetSample],
        max_probes: int | None = None,
        seed: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> "tuple[ProbeSet, list[Skipped]]":
        """Selects probes from picture sources and stores them in a folder.

        The same sources, max_probes and seed give the same bytes.

        Args:
            folder: Where to store the set; it must not hold a probe set.
            sources: Image folders, .jsonl manifests or .parquet files, in order.
            max_probes: The size of a random sample of the pictures; None takes all of them.
            seed: Seed of the sample.
            on_progress: Called with the number of probes so far, and the most there can be.

        Returns:
            The probe set, and the pictures that were skipped with their reasons.

        Raises:
            UsageError: A source is missing or of no known kind, or max_probes is too small.
            ProbeError: A source cannot be read, or gives fewer than two usable pictures.
            HubError: The folder cannot be written. It may then hold pictures, but no list of
                probes, so it does not open.
        """
        if (folder / PROBES_NAME).exists():
            raise UsageError(f"{folder} holds a probe set already; choose another folder")
        candidates, passed_over = read_candidates(sources)
        store = partial(store_picture, folder)
        selection = sample_probes(candidates, max_probes, seed, store, on_progress)
        write_datasets(folder, [s.facts for s in sources if isinstance(s, DatasetSample)])
        count = count_sources(len(candidates), selection, passed_over)
        return store_probes(folder, selection, count), list(selection.skipped)

    @classmethod
    def open(cls, folder: Path) -> "ProbeSet":
        """The probe set of a folder.

        Raises:
            HubError: There is none, or it is damaged, altered or of a newer format version.
        """
        header = read_header(folder)
        path = folder / PROBES_NAME
        try:
            lines = path.read_bytes().splitlines()[1:]
            probes = tuple(_probe_from_json(json.loads(line)) for line in lines)
        except OSError as error:
            raise unreadable(path, error, HubError) from error
        except (ValueError, RecursionError) as error:
            raise HubError(f"{path} is damaged: {error}; {_RESTORE}") from error
        if len(probes) != header.count or probe_set_digest(probes) != header.digest:
            raise HubError(f"{path} was altered: its probes do not give its digest; {_RESTORE}")
        return cls(header.digest, probes, folder)

    def picture_file(self, index: int) -> Path:
        """Where the picture of one probe lies; it may be missing, or altered."""
        return picture_path(self.folder, self.probes[index].digest)

    def picture(self, index: int) -> bytes:
        """The bytes of the picture file of one probe.

        Raises:
            HubError: The file is missing, or its bytes do not give the digest of the probe.
        """
        probe = self.probes[index]
        path = picture_path(self.folder, probe.digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise HubError(f"probe {index} ({probe.source}) is missing; {_RESTORE}") from error
        except OSError as error:
            raise unreadable(path, error, HubError) from error
        if hashlib.sha256(data).hexdigest() != probe.digest:
            raise HubError(f"probe {index} ({probe.source}) was altered; {_RESTORE}")
        return data

    def skipped(self) -> list[Skipped]:
        """The pictures that did not become probes when the set was made, with the reasons.

        Raises:
            HubError: That list is missing or damaged.
        """
        path = self.folder / SKIPPED_NAME
        try:
            rows = [json.loads(line) for line in path.read_bytes().splitlines()]
            return [Skipped(str(row["source"]), str(row["reason"])) for row in rows]
        except PermissionError as error:
            raise unreadable(path, error, HubError) from error
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise HubError(f"cannot read {path}: {type(error).__name__}; {_RESTORE}") from error

    def source_count(self) -> SourceCount | None:
        """What became of each picture and file of the sources; None for a set of an older Lagotto.

        Raises:
            HubError: The count is damaged.
        """
        path = self.folder / COUNT_NAME
        if not path.is_file():
            return None
        match read_json(path, "source count", HubError):
            case {"taken": int(taken), "skipped": int(skipped), "passed_over": dict(kinds)}:
                numbers = {kind: n for kind, n in kinds.items() if isinstance(n, int)}
                return SourceCount(taken, skipped, numbers)
        raise HubError(f"{path} is damaged: it is no source count; {_RESTORE}")

    def datasets(self) -> list[DatasetFacts]:
        """From which datasets of the Hugging Face Hub the probes are, with commit and licence."""
        return read_datasets(self.folder)

    def verify(self, *, pictures: bool = True) -> list[str]:
        """One line for each file that is damaged, missing or altered; empty if there is none.

        `pictures` tells whether there are to be any: a hub may be published without them.
        """
        damages: list[str] = []
        try:
            if read_header(self.folder).digest != self.digest:
                damages.append(f"{PROBES_NAME}: holds another probe set than the one opened")
            ProbeSet.open(self.folder)
            self.skipped()
        except HubError as error:
            damages.append(str(error))
        for index, probe in enumerate(self.probes if pictures else ()):
            path = picture_path(self.folder, probe.digest)
            name = f"probe {index} ({probe.source}), {path.relative_to(self.folder).as_posix()}"
            try:
                if not path.is_file():
                    damages.append(f"{name}: missing")
                elif sha256_file(path) != probe.digest:
                    damages.append(f"{name}: altered")
            except HubError as error:
                damages.append(f"{name}: {error}")
            except OSError as error:
                damages.append(f"{name}: {unreadable(path, error, HubError)}")
        return damages


_RESTORE = "restore it from a copy or create the hub anew"


def read_candidates(
    sources: Sequence[Path | DatasetSample],
) -> tuple[list[ProbeCandidate], Counter[str]]:
    """The pictures of some sources, in order, and the number of other files by kind.

    Raises:
        UsageError: A source is missing or of no known kind.
        ProbeError: A source cannot be read, or all of them have no picture.
    """
    if not sources:
        raise UsageError("no probes given; give an image folder, a .jsonl or a .parquet file")
    passed_over: Counter[str] = Counter()
    candidates = [
        item
        for source in sources
        for item in (
            source.candidates()
            if isinstance(source, DatasetSample)
            else read_probe_source(source, passed_over)
        )
    ]
    if not candidates:
        names = ", ".join(
            s.facts.source if isinstance(s, DatasetSample) else str(s) for s in sources
        )
        held = told(SourceCount(0, 0, passed_over))
        raise ProbeError(f"no pictures in {names}; give a place that holds some{held}")
    return candidates, passed_over


def count_sources(
    candidates: int, selection: SampledProbes, passed_over: Counter[str]
) -> SourceCount:
    """What became of so many candidates, and of the other files of their sources."""
    unused = candidates - len(selection.probes) - len(selection.skipped)
    passed_over.update({"pictures not in the sample": unused} if unused else {})
    return SourceCount(len(selection.probes), len(selection.skipped), passed_over)


def write_datasets(folder: Path, facts: Sequence[DatasetFacts]) -> None:
    """Writes from which datasets the probes of a folder are; nothing where there is none."""
    if facts:
        listed: list[JsonValue] = [item.as_json() for item in facts]
        write_atomically(folder / DATASETS_NAME, canonical_json({"datasets": listed}))


def read_datasets(folder: Path) -> list[DatasetFacts]:
    """From which datasets the probes of a folder are.

    Raises:
        HubError: The list is damaged.
    """
    path = folder / DATASETS_NAME
    if not path.is_file():
        return []
    content = read_json(path, "list of datasets", HubError).get("datasets")
    try:
        rows = content if isinstance(content, list) else [None]
        return [DatasetFacts(**row) for row in rows]  # type: ignore[arg-type]
    except TypeError as error:
        raise HubError(f"{path} is damaged: it is no list of datasets; {_RESTORE}") from error


def store_picture(folder: Path, digest: str, data: bytes) -> None:
    """Writes the file of one picture into the folder of a probe set."""
    path = picture_path(folder, digest)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def store_probes(folder: Path, selection: SampledProbes, count: SourceCount | None) -> ProbeSet:
    """Writes the lists of a probe set whose pictures are stored; the list of probes is the last."""
    skipped: list[JsonValue] = [_skipped_to_json(item) for item in selection.skipped]
    write_atomically(folder / SKIPPED_NAME, _lines(skipped))
    if count is not None:
        write_atomically(folder / COUNT_NAME, canonical_json(count.as_json()))
    digest = probe_set_digest(selection.probes)
    header: JsonObject = {
        "format": _FORMAT,
        "version": _VERSION,
        "digest": digest,
        "count": len(selection.probes),
    }
    lines = _lines([header, *(_probe_to_json(probe) for probe in selection.probes)])
    write_atomically(folder / PROBES_NAME, lines)
    return ProbeSet(digest, selection.probes, folder)


def read_header(folder: Path) -> ProbeSetHeader:
    """The digest and the number of the probes in a folder, without reading their list.

    Raises:
        HubError: There is no probe set, its header is damaged, or its version is newer.
    """
    path = folder / PROBES_NAME
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
    except FileNotFoundError as error:
        raise HubError(f"no probe set at {folder}: cannot read {path}: {error.strerror}") from error
    except OSError as error:
        raise unreadable(path, error, HubError) from error
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
    total = hashlib.sha256()
    for probe in probes:
        total.update(bytes.fromhex(probe.digest))
    return total.hexdigest()


def picture_path(folder: Path, digest: str) -> Path:
    """Where the folder of a probe set has the file of a picture."""
    return folder / PICTURES_NAME / digest[:2] / digest


def _lines(values: Sequence[JsonValue]) -> bytes:
    return b"".join(canonical_json(value) + b"\n" for value in values)


def _skipped_to_json(item: Skipped) -> JsonObject:
    return {"source": item.source, "reason": item.reason}


def _probe_to_json(probe: Probe) -> JsonObject:
    stated = {key: value for key, value in asdict(probe.credit).items() if value}
    captions: list[JsonValue] = [*probe.captions]
    return {"digest": probe.digest, "source": probe.source, "captions": captions, **stated}


def _probe_from_json(row: JsonValue) -> Probe:
    """The probe of a line; ValueError for anything else, so that no line can name a path."""
    match row:
        case {"digest": str(digest), "source": str(source), "captions": list(captions), **more}:
            if _SHA256.fullmatch(digest) and all(isinstance(text, str) for text in captions):
                stated = [str(more.get(field.name, "")) for field in fields(Credit)]
                return Probe(digest, source, tuple(map(str, captions)), Credit(*stated))
    raise ValueError("a line is not a probe")
