"""Files of responses come in; the catalogue that knows which models have theirs goes out.

The catalogue keeps the size and the time of change of each file, and those of the folder. So a run
looks at files only where something has come, gone or changed since the last run.
"""

import os
import shutil
import time
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.files import writing
from lagotto.hub.descriptors.standardize import measure_moments
from lagotto.hub.ingest.probing import ProbedModel
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import FileFacts
from lagotto.hub.store.responses import read_responses
from lagotto.hub.store.segments import (
    read_fact,
    read_file_facts,
    record_fact,
    record_file_facts,
)
from lagotto.hub.store.tensorfile import is_intact

_FOLDER = "responses folder"
_SURE_NS = 50_000_000
"""A folder that was changed less long ago may change again within one tick of the file system's
clock, and have the same time of change."""


def tidy(layout: HubLayout, catalogue: Catalog, keep_fetched: bool) -> None:
    """Deletes what a killed run left, and records which models have lost their responses.

    What it fetched stays for a run that fetches, and may go on with it.
    """
    with writing(layout.staging):
        for folder in (layout.staging, *(() if keep_fetched else (layout.fetched,))):
            if folder.exists():
                shutil.rmtree(folder)
    with writing(layout.responses):
        layout.responses.mkdir(exist_ok=True)
    if read_fact(catalogue, _FOLDER) == _folder_state(layout):
        return
    known = read_file_facts(catalogue)
    with writing(layout.responses), os.scandir(layout.responses) as entries:
        present = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    refreshed: list[tuple[str, FileFacts]] = []
    for digest, facts in known.items():
        path = layout.responses_of(digest)
        state = present.pop(path.name, None)
        if state is None or not path.is_file():
            catalogue.record_lost(digest)
        elif (state.st_size, state.st_mtime_ns) != facts:
            found = _adopt(catalogue, digest, path)
            if found is not None:
                refreshed.append((digest, found))
    if refreshed:
        record_file_facts(catalogue, refreshed)
    with writing(layout.responses):
        for name in present:
            (layout.responses / name).unlink()


def note_responses(layout: HubLayout, catalogue: Catalog) -> None:
    """Records that the catalogue knows all files of responses, as they are now."""
    state = _folder_state(layout)
    if time.time_ns() - layout.responses.stat().st_mtime_ns < _SURE_NS:
        time.sleep(_SURE_NS / 1e9)
        if _folder_state(layout) != state:
            return
    record_fact(catalogue, _FOLDER, state)


def record_probed(
    layout: HubLayout, catalogue: Catalog, probed: ProbedModel, extends: bool
) -> None:
    """Moves responses into the hub and then enters them in the catalogue.

    In that order, so that every model that the catalogue calls done has its responses. A model that
    fails to see more probes keeps the responses that it has.
    """
    if probed.failure is not None:
        if not extends:
            catalogue.record_failure(probed.digest, probed.failure.kind, probed.failure.reason)
    elif probed.facts is not None:
        target = layout.responses_of(probed.digest)
        with writing(target):
            os.replace(probed.staged, target)
        seen = len(read_responses(target).seen_probes)
        facts = file_facts(target, seen)
        if extends:
            sha256 = probed.facts.responses_sha256
            catalogue.record_extended(probed.digest, probed.facts.invalid, sha256, facts)
        else:
            catalogue.record_done(probed.digest, probed.facts, facts)


def file_facts(path: Path, probes_seen: int) -> FileFacts:
    """What is known of a file of responses."""
    state = path.stat()
    return FileFacts(state.st_size, state.st_mtime_ns, probes_seen)


def _folder_state(layout: HubLayout) -> str:
    state = layout.responses.stat()
    return f"{state.st_ino} {state.st_mtime_ns}"


def _adopt(catalogue: Catalog, digest: str, path: Path) -> FileFacts | None:
    """Looks into a file that is not as it was recorded; None if it is damaged.

    Responses with more probes, which a killed run wrote and did not record, are recorded. What is
    damaged is for `hub verify` to name.
    """
    try:
        responses = read_responses(path)
    except HubError:
        return None
    facts = file_facts(path, len(responses.seen_probes))
    (record,) = catalogue.done([digest])
    if responses.sha256 == record.responses_sha256:
        return facts
    if responses.header.behaviour_digest == digest and is_intact(path):
        invalid = measure_moments(responses.values).invalid
        catalogue.record_extended(digest, invalid, responses.sha256, facts)
    return None
