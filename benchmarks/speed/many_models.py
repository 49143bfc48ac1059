"""Fills a hub with many models, for benchmarks of what a large hub costs.

The first models go through the code of `hub add` from the file of their responses on. Each later
one is one of the first whose probes are turned by some places: its responses, its descriptors and
its rows of the catalogue are copied so, in the forms in which `hub add` writes them. That takes a
tenth of the time, and all logits differ. Directions, which would have to be projected anew, are
turned likewise. The next `hub add` merges the segments as it would those of a hub that grew.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from lagotto.core import files
from lagotto.hub.descriptors.block_models import BlockModel
from lagotto.hub.descriptors.blocks import Block, block_path, join_blocks
from lagotto.hub.hub import Hub
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.ingest.segments import rebuild_blocks
from lagotto.hub.kernels.gather import split_columns
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import Listing, ModelFacts
from lagotto.hub.store.responses import ResponsesHeader, write_responses
from lagotto.hub.store.segments import SegmentRecord, next_segment, record_segment

OUTPUTS = 20
_REAL = 1000
_TURNED = 900
"""Models whose copies make up a group: all are turned by the same number of places."""

_CHECKSUM_BYTES = 32
_COPIED = (
    "name, status, source, framework, outputs, output, logits_source, input, notes, "
    "responses_sha256, record_sha256, responses_bytes, responses_changed_ns, probes_seen"
)


def digest_of(number: int) -> str:
    """The behaviour digest of a model."""
    return sha256(f"model {number}".encode()).hexdigest()


def drawn_responses(number: int, probes: int) -> np.ndarray:
    """Its responses, if it is one of the first."""
    drawn = np.random.default_rng(number).normal(0, 3, (probes, OUTPUTS))
    return drawn.astype(np.float32)


def facts_of(checksum: str) -> ModelFacts:
    """What the catalogue is told of a model."""
    return ModelFacts(
        *("onnx", OUTPUTS, "logits", "raw", {"size": [32, 32]}, (), None),
        *(("",) * OUTPUTS, checksum),
    )


def fill_hub(folder: Path, first: int, last: int) -> None:
    """Adds models `first` to `last - 1`; nothing waits for the disk."""
    files.sync = lambda path: None
    hub, layout = Hub.open(folder), HubLayout(folder)
    layout.responses.mkdir(exist_ok=True)
    with Catalog(layout.catalogue, writable=True) as catalogue:
        catalogue.run("PRAGMA synchronous = OFF")
        _fill_first(hub, layout, catalogue, range(first, min(last, _REAL)))
        start = max(first, _REAL)
        if start >= last:
            return
        rebuild_blocks(layout, catalogue, hub.probe_digest)
        source = _Turning(hub, layout)
        while start < last:
            end = min(last, start - start % _TURNED + _TURNED)
            _add_turned(source, catalogue, range(start, end))
            start = end


def _fill_first(hub: Hub, layout: HubLayout, catalogue: Catalog, numbers: range) -> None:
    catalogue.plan([Listing(digest_of(n), f"m{n}", f"/made/m{n}.onnx") for n in numbers])
    for number in numbers:
        digest = digest_of(number)
        header = ResponsesHeader(digest, hub.probe_digest, "onnx", "raw")
        values = drawn_responses(number, hub.reader.probe_count)
        checksum = write_responses(layout.responses_of(digest), values, header)
        catalogue.record_done(digest, facts_of(checksum))


class _Turning:
    """The first models of a hub, as a block of their own and as bytes of their files."""

    def __init__(self, hub: Hub, layout: HubLayout) -> None:
        index = hub.reader.logit_index()
        spans = [index.columns_of(f"m{number}") for number in range(_TURNED)]
        columns = np.concatenate([np.arange(span.start, span.stop) for span in spans])
        self.layout, self.probe_digest = layout, hub.probe_digest
        self.fields = dict(_fields(index, columns))
        self.bytes = [layout.responses_of(digest_of(n)).read_bytes() for n in range(_TURNED)]
        self.data = hub.reader.probe_count * OUTPUTS * 4
        with Catalog(layout.catalogue) as catalogue:
            query = f"SELECT {_COPIED} FROM models WHERE digest = ?"
            self.rows = [catalogue.run(query, (digest_of(n),))[0] for n in range(_TURNED)]
            (self.position,) = catalogue.run(
                "SELECT position FROM models WHERE digest = ?", (digest_of(0),)
            )[0]

    def write(self, number: int) -> tuple[str, int, int]:
        """Writes the responses of a model; their checksum, bytes and time of change."""
        base, turn = number % _TURNED, number // _TURNED
        old = self.bytes[base]
        begin = len(old) - _CHECKSUM_BYTES - self.data
        head = old[:begin].replace(digest_of(base).encode(), digest_of(number).encode())
        values = np.frombuffer(old, np.float32, self.data // 4, begin).reshape(-1, OUTPUTS)
        body = head + np.roll(values, turn, axis=0).tobytes()
        checksum = sha256(body)
        path = self.layout.responses_of(digest_of(number))
        path.write_bytes(body + checksum.digest())
        return checksum.hexdigest(), len(old), path.stat().st_mtime_ns

    def block(self, numbers: range, checksums: Sequence[str]) -> Block:
        """The columns of models that are turned by one number of places."""
        turn = numbers[0] // _TURNED
        start = numbers[0] % _TURNED * OUTPUTS
        part = slice(start, start + len(numbers) * OUTPUTS)
        fields = {name: array[part] for name, array in self.fields.items() if name != "values"}
        values = np.roll(self.fields["values"][:, part], turn, axis=0)
        directions = np.roll(fields.pop("directions"), turn, axis=1)
        models = [
            BlockModel(digest_of(number), checksum, place * OUTPUTS, OUTPUTS)
            for place, (number, checksum) in enumerate(zip(numbers, checksums, strict=True))
        ]
        return Block(models=models, values=values, directions=directions, **fields)


def _fields(index: LogitIndex, columns: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "values", index.codes(columns)[0]
    owners = list(split_columns([block.steps.size for block in index.blocks], columns))
    for name in ("steps", "mean", "std", "quantiles", "directions", "direction_steps"):
        first: np.ndarray = getattr(index.blocks[0], name)
        taken = np.empty((len(columns), *first.shape[1:]), first.dtype)
        for block, positions, local in owners:
            taken[positions] = getattr(index.blocks[block], name)[local]
        yield name, taken


def _add_turned(source: _Turning, catalogue: Catalog, numbers: range) -> None:
    written = [source.write(number) for number in numbers]
    segment = next_segment(catalogue)
    path = block_path(source.layout.blocks, segment)
    block = source.block(numbers, [checksum for checksum, _, _ in written])
    block_sha256 = join_blocks(path, [block], source.probe_digest)
    (last,) = catalogue.run("SELECT max(position) FROM models")[0]
    positions = range(last + 1, last + 1 + len(numbers))
    with catalogue.transaction():
        catalogue.run_many(
            f"INSERT INTO models (position, digest, {_COPIED}) VALUES ({', '.join('?' * 16)})",
            [
                _row(source.rows[number % _TURNED], position, number, *facts)
                for position, number, facts in zip(positions, numbers, written, strict=True)
            ],
        )
        catalogue.run_many(
            "INSERT INTO logits SELECT ?, logit, label, flaw FROM logits WHERE model = ?",
            [(position, source.position) for position in positions],
        )
        state = path.stat()
        record = SegmentRecord(
            *(segment, block_sha256, state.st_size, state.st_mtime_ns),
            *(len(numbers), len(numbers) * OUTPUTS, positions[0], positions[-1]),
        )
        record_segment(catalogue, record, [(at, n, "") for n, at in enumerate(positions)])


def _row(
    known: Sequence[Any], position: int, number: int, checksum: str, size: int, changed_ns: int
) -> tuple[Any, ...]:
    """A model's row of the catalogue, after that of the model that it was made of."""
    name, source = f"m{number}", f"/made/m{number}.onnx"
    (_, status, _, *facts, _, record, _, _, seen) = known
    same = (status, source, *facts, checksum, record)
    return (position, digest_of(number), name, *same, size, changed_ns, seen)
