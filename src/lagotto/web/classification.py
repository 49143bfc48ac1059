"""Uploaded pictures and labels come in; the answer of `lagotto classify --json` goes out."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lagotto.core.progress import Progress, Silent
from lagotto.core.sources.count import SourceCount
from lagotto.core.types import JsonObject, Skipped
from lagotto.jobs.worker_limits import Limits
from lagotto.specialists.answers import classification_answer
from lagotto.specialists.classifier import Classifier, HubVoice
from lagotto.web.state import ServerState
from lagotto.web.uploads.store import Upload
from lagotto.zeroshot.types import Prediction

SYNCHRONOUS = 8
"""Pictures up to which an answer is waited for; more become a job."""

_MODEL_S = 120.0


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """What to classify by; the fields are those of `lagotto classify`.

    Attributes:
        labels: Names of the classes.
        voices: Voices that vote, of image, captions and hub; None: all that there are.
        mode: guarded, paper, paper-code, captions-only or image-only; None: as the command.
        k: Captions that vote for a picture.
        templates: The name of a set of prompts.
        max_models: Models of the hub that vote, at most.
        behaviour_only: Find models without their published labels.
        reject: The probability from which the answer is that no label fits; None: never.
    """

    labels: tuple[str, ...]
    voices: tuple[str, ...] | None = None
    mode: str | None = None
    k: int = 16
    templates: str = "single"
    max_models: int = 3
    behaviour_only: bool = False
    reject: float | None = None


class _Turn:
    """A classifier and whose turn it is: its notes are those of the last call."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.notes = classifier.notes
        self.lock = threading.Lock()


def classify(
    state: ServerState,
    request: ClassifyRequest,
    uploads: Sequence[Upload],
    progress: Progress | None = None,
) -> JsonObject:
    """The predictions for uploaded pictures, each under the name that it came with.

    Args:
        state: The server.
        request: Labels and how to vote.
        uploads: The pictures, in order.
        progress: Told of the pictures.

    Raises:
        UsageError: For labels, voices or a mode that are not allowed.
        Problem: 404 for a picture that is not kept any more.
    """
    started = time.perf_counter()
    files = [state.upload(upload.address) for upload in uploads]
    turn = state.remember_few((request,), lambda: _Turn(_classifier(state, request)))
    meter = progress or Silent()
    with turn.lock:
        classifier = turn.classifier
        classifier.notes = turn.notes
        meter.start("classifying", len(uploads), "pictures")
        skipped: list[str] = []

        def rows() -> Iterator[Prediction | Skipped]:
            for upload, row in zip(uploads, classifier.predict(files), strict=True):
                meter.advance(1)
                name = upload.name or upload.address
                if isinstance(row, Skipped):
                    skipped.append(name)
                    yield Skipped(name, row.reason)
                else:
                    yield replace(row, path=name)

        answer = classification_answer(classifier, rows())
        meter.finish()
        notes = classifier.notes
    count = SourceCount(len(uploads) - len(skipped), len(skipped), {})
    return {
        **answer,
        "source_count": count.as_json(),
        "digests": [upload.address for upload in uploads],
        "notes": list(notes),
        "elapsed_s": round(time.perf_counter() - started, 6),
    }


def _classifier(state: ServerState, request: ClassifyRequest) -> Classifier:
    """A classifier for the request; labels are a list, so that none is read as a file."""
    voice = HubVoice(
        state.slow_hub,
        request.max_models,
        use_names=not request.behaviour_only,
        limits=Limits(timeout_s=_MODEL_S),
    )
    return Classifier(
        state.encoder,
        list(request.labels),
        state.captions,
        hub=voice if len(state.hub) else None,
        voices=request.voices,
        mode=request.mode,
        k=request.k,
        templates=request.templates,
        reject=request.reject,
    )
