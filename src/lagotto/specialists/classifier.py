"""Classification with three voices, end to end: image, captions, and models found in a hub."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.errors import UsageError
from lagotto.core.images import read_picture_file
from lagotto.core.progress import Progress, Silent
from lagotto.core.registry import suggest
from lagotto.core.types import SetAside
from lagotto.encoders.base import Encoder
from lagotto.hub.hub import Hub
from lagotto.jobs.worker_limits import Limits
from lagotto.specialists.batches import Batch, read_batches
from lagotto.specialists.finder import (
    Finder,
    FoundSpecialists,
    Question,
)
from lagotto.specialists.fusion import (
    Specialist,
    specialist,
    with_votes,
)
from lagotto.specialists.model_runs import ModelRuns
from lagotto.specialists.pixel_batches import Read
from lagotto.specialists.selection import Selection
from lagotto.zeroshot import classifier as zeroshot
from lagotto.zeroshot.images import printable_path
from lagotto.zeroshot.prompts.labels import Label
from lagotto.zeroshot.types import (
    Captions,
    Mode,
    Prediction,
)
from lagotto.zeroshot.votes import image_vote

VOICES = ("image", "captions", "hub")
MAX_MODELS = 3


@dataclass(frozen=True, slots=True)
class HubVoice:
    """A hub that is asked: how many of its models at most, and whether their published names count
    as evidence. `limits` are those of the workers that run them."""

    hub: Hub | Path | str
    max_models: int = MAX_MODELS
    use_names: bool = True
    limits: Limits = field(default_factory=Limits)
    progress: Progress = field(default_factory=Silent)

    def open(self, encoder: Encoder) -> Hub:
        """The hub; raises MismatchError if it was made with another encoder than this one."""
        if self.max_models < 1:
            raise UsageError(f"at most {self.max_models} models were asked for; give 1 or more")
        folder = self.hub.folder if isinstance(self.hub, Hub) else self.hub
        hub = Hub.open(folder, encoder)
        _ = hub.encoder
        return hub


class Classifier(zeroshot.ZeroShotClassifier):
    """Classifies pictures by labels in words, with captions and with models of a hub where they
    help.

    Models are looked for anew in each call of `predict`, with a sample of its pictures (see
    `specialists.finding`); which were asked and why is then in `specialists`. Given that, a
    prediction depends on its picture alone. `voices` are those that are heard, all that there are
    unless given. Without a hub it is what `zeroshot.pipeline.Classifier` is.
    """

    def __init__(  # noqa: PLR0913  # the one constructor that users write: a name for each choice
        self,
        encoder: Encoder | str,
        labels: Sequence[str] | Sequence[Label] | str,
        captions: Captions | Path | str | None = None,
        *,
        hub: HubVoice | Hub | Path | str | None = None,
        voices: Sequence[str] | None = None,
        mode: str | None = None,
        k: int = 16,
        templates: str | Sequence[str] = "single",
        approximate: bool = False,
    ) -> None:
        heard = checked_voices(voices, captions is not None, hub is not None)
        dropped = captions is not None and "captions" not in heard
        captions = None if dropped else captions
        if mode is None and "captions" in heard and "image" not in heard:
            mode = "captions-only"
        super().__init__(
            encoder,
            labels,
            captions,
            mode=mode,
            k=k,
            templates=templates,
            approximate=approximate and (captions is not None or not dropped),
        )
        self.voices = heard
        self.specialists: tuple[Specialist, ...] = ()
        self._voice: HubVoice | None = None
        self._hub: Hub | None = None
        if hub is not None and "hub" in heard:
            self._voice = hub if isinstance(hub, HubVoice) else HubVoice(hub)
            self._hub = self._voice.open(self.encoder)

    def variant(self, mode: Mode, k: int) -> "Classifier":
        """The same labels, store and hub in another mode or with another k; see zeroshot's."""
        other = super().variant(mode, k)
        assert isinstance(other, Classifier)
        return other

    def predict(self, paths: Iterable[Path | str]) -> Iterator[Prediction | SetAside]:
        """One row a picture, in order: its prediction, or why it could not be read.

        With a hub all paths are taken first, and a sample of the pictures is looked at to choose
        the models; then pictures are read as the rows are asked for, see `reading`. `notes` has
        what is worth knowing of the models afterwards.
        """
        if self._voice is None:
            yield from super().predict(paths)
            return
        files = [Path(path) for path in paths]
        with ModelRuns(self._voice.limits) as runs:
            reads = [partial(read_picture_file, file) for file in files]
            found = self.find_specialists(reads, runs)
            for batch in read_batches(self.encoder, [found], reads, runs):
                paths_read = [printable_path(files[place]) for place in batch.readable]
                predictions = iter(self._heard(found.choice, batch, paths_read))
                for place in batch.places:
                    if place in batch.unreadable:
                        yield SetAside(printable_path(files[place]), batch.unreadable[place])
                    else:
                        yield next(predictions)
            self._note_failures(found, runs)

    @property
    def limits(self) -> Limits:
        """Those of the workers that run models."""
        return Limits() if self._voice is None else self._voice.limits

    def find_specialists(self, reads: Sequence[Read], runs: ModelRuns) -> FoundSpecialists:
        """The models to ask about pictures; they become `specialists`, and remarks `notes`."""
        if self._voice is None or self._hub is None:
            raise UsageError("there is no hub to look in; give one: Classifier(..., hub=HUB)")
        question = Question(
            tuple(label.words for label in self.labels),
            self.voting.prompts,
            self._others,
            self._voice.max_models,
            self._voice.use_names,
        )
        found = Finder(self._hub, self.encoder, question, runs).find(reads, self._voice.progress)
        hub, names = self._hub, self._voice.use_names
        self.specialists = tuple(
            specialist(match, hub.labels(match.model) if names else ())
            for match in found.choice.matches
        )
        asked = [f"{each.model} is asked: it {each.why}" for each in self.specialists]
        none = [] if asked else ["no model of the hub is asked: none is seen to know the labels"]
        self.notes = (*self.notes, *found.notes, *(asked or none))
        return found

    def _others(
        self, embeddings: Float32[np.ndarray, "pictures dim"]
    ) -> Float64[np.ndarray, "pictures labels"]:
        """Log probabilities by the voices beside the hub's; by the image alone in the mode
        paper-code, which would remember that it was asked."""
        if self.mode == "paper-code":
            votes = image_vote(embeddings, self.voting.prompts, self.voting.scale)
        else:
            votes = self.voting.vote(embeddings, self.retrieve(embeddings)).pooled.probabilities
        return np.asarray(np.log(np.maximum(votes, 1e-12)))

    def _heard(self, choice: Selection, batch: Batch, paths: Sequence[str]) -> list[Prediction]:
        """The predictions of a batch, all voices heard."""
        rows = list(self.predict_embeddings(batch.embeddings, paths))
        others = "image" in self.voices or "captions" in self.voices
        return with_votes(rows, choice, batch.logits, others=others)

    def _note_failures(self, found: FoundSpecialists, runs: ModelRuns) -> None:
        """Says which of the models asked failed on the way; those pictures went without it."""
        told = {f"{name} failed: {reason}" for name, reason in runs.failures.items()}
        self.notes = (*self.notes, *sorted(told - set(found.notes)))


def checked_voices(
    voices: Sequence[str] | None, has_captions: bool, has_hub: bool
) -> tuple[str, ...]:
    """The voices that are heard, in the order of VOICES.

    Raises UsageError for one that is not known, or has nothing to speak with.
    """
    there = {"image": True, "captions": has_captions, "hub": has_hub}
    if voices is None:
        return tuple(voice for voice in VOICES if there[voice])
    if not voices:
        raise UsageError(f"no voices given; give some of {', '.join(VOICES)}")
    for voice in voices:
        if voice not in there:
            raise UsageError(
                f"unknown voice {voice!r}; known: {', '.join(VOICES)}."
                f"{suggest(voice, list(VOICES))}"
            )
        if not there[voice]:
            given = {"captions": "a caption store", "hub": "a hub"}[voice]
            raise UsageError(f"the voice {voice} needs {given}; give one, or leave the voice out")
    return tuple(voice for voice in VOICES if voice in voices)
