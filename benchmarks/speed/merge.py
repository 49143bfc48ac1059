"""What merging hubs costs, and whether the result answers as the hub that was made at once.

    python benchmarks/speed/merge.py --json > benchmarks/results/speed_merge.json

--parts hubs have --models models each, shards of one list, whose responses the script makes (see
growth.py). `hub merge` makes one hub of them; another one gets all responses at once and is made
ready by `audit`. Seconds are of processor, of this process and all threads, beside the clock.

The answer is checked: responses are equal byte for byte, and so are the hits of six queries.
"""

import argparse
import json
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import growth

from lagotto.core import files
from lagotto.core.progress import Silent
from lagotto.demo.bundled import DEMO_ENCODER
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.merging.facts import ShardFacts, record_shard
from lagotto.hub.prepare import prepare_searches
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import Listing, ModelFacts
from provenance import provenance


def fill(hub: Hub, numbers: range, of: int) -> None:
    """Makes a hub hold some models of a list, at their places in it."""
    layout = HubLayout(hub.folder)
    digests = [growth.digest_of(number) for number in numbers]
    with Catalog(layout.catalogue, writable=True) as catalogue:
        catalogue.run("PRAGMA synchronous = OFF")
        if of > 1:
            record_shard(catalogue, ShardFacts(numbers.start + 1, of, "list", numbers.stop))
        catalogue.plan(
            [
                Listing(digest, f"m{number}", f"/made/m{number}.onnx", number)
                for digest, number in zip(digests, numbers, strict=True)
            ]
        )
        for digest, number in zip(digests, numbers, strict=True):
            path = layout.responses_of(digest)
            count = hub.reader.probe_count
            checksum = growth.write_model(path, number, count, hub.probe_digest)
            facts = ModelFacts(
                *("onnx", growth.OUTPUTS, "logits", "raw", {"size": [32, 32]}, (), None),
                *(("",) * growth.OUTPUTS, checksum),
            )
            catalogue.record_done(digest, facts)


def answers(folder: Path) -> str:
    """A digest of the hits of all queries, with all digits."""
    with Hub.open(folder) as hub:
        found = [repr(hub.search(text, top=50).hits) for text in growth.QUERIES]
    return sha256("\n".join(found).encode()).hexdigest()


def measure(folder: Path, parts: int, models: int, probes: int) -> dict[str, Any]:
    """Makes the hubs, merges them, and compares."""
    growth.make_pictures(folder / "pictures", probes)
    empty = Hub.create(folder / "empty", folder / "pictures", str(DEMO_ENCODER))
    sync, files.sync = files.sync, lambda path: None  # only while the hubs are filled
    once = Hub.create_like(folder / "once", empty.folder)
    fill(once, range(parts * models), 1)
    folders = []
    for index in range(parts):
        part = Hub.create_like(folder / f"part{index + 1}", empty.folder)
        fill(part, range(index, parts * models, parts), parts)
        folders.append(part.folder)
    files.sync = sync
    prepare_searches(once.reader, Silent(), audit_all=False)
    hub = Hub.create_like(folder / "hub", empty.folder)
    hub.encoder.embed_texts(["warm"])
    begin, processor = time.perf_counter(), time.process_time()
    report = hub.merge(folders)
    seconds, used = time.perf_counter() - begin, time.process_time() - processor
    assert (report.added, report.missing_shards) == (parts * models, ())
    begin_again, processor_again = time.perf_counter(), time.process_time()
    assert hub.merge(folders).already == parts * models
    again = time.perf_counter() - begin_again, time.process_time() - processor_again
    for path in (once.folder / "responses").iterdir():
        assert (hub.folder / "responses" / path.name).read_bytes() == path.read_bytes()
    assert hub.models == once.models
    assert answers(hub.folder) == answers(once.folder), "merging changed an answer"
    assert hub.verify() == ()
    return {
        "parts": parts,
        "models": parts * models,
        "probes": probes,
        "outputs": growth.OUTPUTS,
        "merge_s": round(seconds, 2),
        "merge_cpu_s": round(used, 2),
        "cpu_ms_a_model": round(1e3 * used / (parts * models), 2),
        "merge_again_s": round(again[0], 2),
        "merge_again_cpu_s": round(again[1], 2),
        "responses_mb": round(parts * models * probes * growth.OUTPUTS * 4 / 1e6, 1),
        "answers_equal": True,
        **provenance(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--models", type=int, default=250, help="of a part")
    parser.add_argument("--probes", type=int, default=640)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.parts, options.models, options.probes)
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
