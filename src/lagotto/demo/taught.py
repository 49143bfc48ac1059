"""The demo's hub comes in; what one reference model teaches of the others goes out."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.types import Hits
from lagotto.demo import bundled
from lagotto.hub.hub import Hub

REFERENCE = "mobile_try5"
"""A labelled classifier of twenty concepts. The encoder hardly knows five of them."""

SOUGHT = "lipstick"
"""One of these five: the encoder often saw it, under another word."""


@dataclass(frozen=True, slots=True)
class TaughtSearch:
    """What a reference teaches, in a copy of the demo's hub that has it.

    No label is read but those of the reference, whose own outputs are no hits. `through` and
    `behaviour` count the concepts of which a right output is found first: through the reference,
    and by behaviour alone.
    """

    hub: Path
    reference: str
    concepts: int
    through: int
    behaviour: int
    search: Hits


def search_by_reference(hub: Hub, folder: Path, progress: Progress) -> TaughtSearch:
    """Asks a copy of the demo's hub, in which REFERENCE is a reference, for all of its concepts.

    Args:
        hub: The hub of the demo.
        folder: Where the copy goes; it is made if it does not exist.
        progress: Receives the progress of the work.
    """
    if not folder.exists():
        _copy(hub.folder, folder)
    classes = bundled.read_classes()
    with Hub.open(folder, hub.reader.encoder) as taught:
        taught.add([bundled.MODELS / REFERENCE], reference=True, progress=progress)
        right = {True: 0, False: 0}
        for concept in classes[REFERENCE]:
            for references in right:
                found = taught.search(concept, top=1, behaviour_only=True, references=references)
                right[references] += any(classes[hit.model][hit.logit] == concept for hit in found)
        search = taught.search(SOUGHT, top=1, behaviour_only=True)
    return TaughtSearch(
        folder, REFERENCE, len(classes[REFERENCE]), right[True], right[False], search
    )


def _copy(hub: Path, folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.part")
    with writing(folder):
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(hub, part, ignore=shutil.ignore_patterns("cache"))
        os.replace(part, folder)
