"""An empty folder comes in; the demo's hub, searches and scores go out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.files import write_atomically, writing
from lagotto.core.progress import Progress
from lagotto.core.types import Hits
from lagotto.demo import bundled
from lagotto.demo.incomplete import IncompleteList, ask_incomplete
from lagotto.demo.naming import NamingScore, score_naming
from lagotto.demo.taught import TaughtSearch, search_by_reference
from lagotto.demo.voices import ThreeVoices, score_voices
from lagotto.evaluation.retrieval.truth import (
    Accuracy,
    LogitName,
    TruthQuery,
    accuracy,
    read_truth,
)
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import LogitQuery
from lagotto.hub.reports.explain import write_contact_sheet
from lagotto.zeroshot.captions.store import CaptionStore

CONCEPTS = ("pizza", "violin", "dog face")


@dataclass(frozen=True, slots=True)
class Tour:
    """The results of the demo: its hub and files, the hits of its searches, and the accuracies."""

    hub: Path
    pictures: Path
    models: int
    logits: int
    probes: int
    searches: tuple[Hits, ...]
    sheet: Path
    text_to_logit: Accuracy
    logit_to_logit: Accuracy
    taught: TaughtSearch
    captions: Path
    naming: tuple[NamingScore, ...]
    voices: ThreeVoices
    incomplete: IncompleteList


def take_tour(folder: Path, progress: Progress) -> Tour:
    """Builds the demo hub in a folder, or resumes it, searches it and scores it.

    Args:
        folder: The folder of the demo's hub, pictures and captions.
        progress: Receives the progress of the work.

    Raises:
        UsageError: The folder holds another hub.
    """
    hub = _open_or_create(folder / "hub", progress)
    hub.add([bundled.MODELS], progress=progress)
    pictures = folder / "pictures"
    with writing(pictures):
        pictures.mkdir(exist_ok=True)
    for picture in bundled.read_heldout():
        write_atomically(pictures / picture.name, picture.data)
    searches = tuple(hub.search(concept, top=5) for concept in CONCEPTS)
    sheet = folder / f"{CONCEPTS[0]}.png"
    write_contact_sheet(hub.reader, hub.query_vector(CONCEPTS[0]), searches[0], sheet)
    status = hub.status()
    texts = score_texts(hub, read_truth(bundled.DEMO_TRUTH), progress)
    logits = score_logits(hub, bundled.read_classes(), progress)
    taught = search_by_reference(hub, folder / "hub-with-reference", progress)
    naming = score_naming(folder / "captions", pictures, progress)
    store = CaptionStore.open(folder / "captions", str(bundled.DEMO_ENCODER))
    return Tour(
        hub=hub.folder,
        pictures=pictures,
        models=status.done,
        logits=status.logits,
        probes=status.probes,
        searches=searches,
        sheet=sheet,
        text_to_logit=texts,
        logit_to_logit=logits,
        taught=taught,
        captions=folder / "captions",
        naming=naming,
        voices=score_voices(hub, store, pictures, progress),
        incomplete=ask_incomplete(store, pictures),
    )


def _open_or_create(folder: Path, progress: Progress) -> Hub:
    if not folder.exists():
        return Hub.create(folder, bundled.PROBES, str(bundled.DEMO_ENCODER), progress=progress)
    hub = Hub.open(folder, str(bundled.DEMO_ENCODER))
    names = {model.name for model in hub.status().models}
    if not names <= set(bundled.read_classes()):
        raise UsageError(f"{folder} holds a hub with other models; give another --folder")
    return hub


def score_texts(hub: Hub, truth: Sequence[TruthQuery], progress: Progress) -> Accuracy:
    """Accuracy of text queries over all models."""
    progress.start("scoring texts", len(truth), "queries")
    ranked = []
    for query in truth:
        hits = hub.search(query.text, top=5, behaviour_only=True).hits
        ranked.append([(hit.model, hit.logit) for hit in hits])
        progress.advance(1)
    progress.finish()
    return accuracy(ranked, [query.correct for query in truth])


def score_logits(hub: Hub, classes: Mapping[str, tuple[str, ...]], progress: Progress) -> Accuracy:
    """Accuracy of logit queries for every concept that another model knows, own models excluded."""
    known: dict[str, set[LogitName]] = {}
    for model, concepts in classes.items():
        for logit, concept in enumerate(concepts):
            known.setdefault(concept, set()).add((model, logit))
    queries = [
        (model, logit, frozenset(name for name in known[concept] if name[0] != model))
        for model, concepts in classes.items()
        for logit, concept in enumerate(concepts)
    ]
    queries = [(model, logit, correct) for model, logit, correct in queries if correct]
    progress.start("scoring logits", len(queries), "queries")
    ranked = []
    for model, logit, _ in queries:
        hits = hub.search(LogitQuery(model, logit), top=5 + len(classes[model])).hits
        ranked.append([(hit.model, hit.logit) for hit in hits if hit.model != model])
        progress.advance(1)
    progress.finish()
    return accuracy(ranked, [correct for _, _, correct in queries])
