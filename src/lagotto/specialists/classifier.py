"""Labels, pictures, a caption store and a hub come in; predictions by image, captions and models
go out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.arguments.one_or_many import OneNameOrMany
from lagotto.core.arguments.pictures import OnePictureOrMany, PictureSource
from lagotto.core.errors import UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.registry import suggest
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder
from lagotto.hub.hub import Hub
from lagotto.jobs.worker_limits import Limits
from lagotto.specialists.finder import (
    Finder,
    FinderResult,
    SpecialistQuery,
)
from lagotto.specialists.fusion import (
    Specialist,
    add_votes,
    describe_specialist,
)
from lagotto.specialists.model_runs import ModelRuns
from lagotto.specialists.pictures.batches import Batch, read_batches
from lagotto.specialists.pictures.pixel_batches import ImageReader
from lagotto.specialists.rejection import judge_with_models
from lagotto.specialists.selection import Selection
from lagotto.zeroshot import classifier as zeroshot
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.encoder_choice import choose_encoder
from lagotto.zeroshot.prompts.labels import Label
from lagotto.zeroshot.types import (
    Captions,
    Mode,
    Prediction,
)
from lagotto.zeroshot.votes import image_vote

VOICES = ("image", "captions", "hub")
MAX_MODELS = 3
IMAGE_ALONE = "no store and no hub: the answer rests on image and vocabulary alone"


@dataclass(frozen=True, slots=True)
class HubVoice:
    """A hub whose models may vote, and how they are searched and run.

    Args:
        hub: A hub, or its folder.
        max_models: Models that vote, at most.
        use_names: Whether published label names count as evidence.
        limits: Limits of the worker processes that run the models.
        progress: Receives the progress of the search for models.
    """

    hub: Hub | Path | str
    max_models: int = MAX_MODELS
    use_names: bool = True
    limits: Limits = field(default_factory=Limits)
    progress: Progress = field(default_factory=Silent)

    def open(self, encoder: Encoder) -> Hub:
        """Opens the hub; raises MismatchError if it was made with another encoder than this one."""
        if self.max_models < 1:
            raise UsageError(f"at most {self.max_models} models were asked for; give 1 or more")
        folder = self.hub.folder if isinstance(self.hub, Hub) else self.hub
        hub = Hub.open(folder, encoder)
        _ = hub.encoder
        return hub


def _known_encoder(
    captions: Captions | Path | str | None, hub: HubVoice | Hub | Path | str | None
) -> Encoder:
    """The encoder of a caption store, else that of a hub; UsageError if neither is given."""
    if hub is None or isinstance(captions, CaptionStore | Path | str):
        return choose_encoder(None, captions)
    opened = hub.hub if isinstance(hub, HubVoice) else hub
    return (opened if isinstance(opened, Hub) else Hub.open(opened)).encoder


class Classifier(zeroshot.ZeroShotClassifier):
    """Classifies pictures by labels in words, with captions and models of a hub where they help.

    Each call of `predict` searches the hub for models that know the labels, on a sample of its
    pictures (see `specialists.finder`). Given these models, a prediction depends on its picture
    alone. Without a hub this class equals `ZeroShotClassifier`.

    Args:
        encoder: An encoder, or the folder of one; None takes the one that made the caption store,
            or the hub.
        labels: Names of the classes, `Label` objects, a comma list, or the path of a file of names;
            None takes the open vocabulary.
        captions: A caption store or its folder.
        hub: A hub, its folder, or a `HubVoice` with its settings.
        voices: The voices that vote, of "image", "captions" and "hub"; None takes all that there
            are.
        mode, k, templates, approximate, reject, progress: As in `ZeroShotClassifier`.

    Attributes:
        specialists: The models that voted in the last `predict`, each with the reasons.
        notes: Facts worth showing to a user, one line each.
    """

    def __init__(  # noqa: PLR0913  # the one constructor that users write: a name for each choice
        self,
        encoder: Encoder | str | None,
        labels: OneNameOrMany | Iterable[Label] | None,
        captions: Captions | Path | str | None = None,
        *,
        hub: HubVoice | Hub | Path | str | None = None,
        voices: Sequence[str] | None = None,
        mode: str | None = None,
        k: int = 16,
        templates: str | Sequence[str] = "single",
        approximate: bool = False,
        reject: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        if labels is None and hub is not None:
            raise UsageError(
                "a hub was given and no labels: its models vote among labels; give labels, or "
                "leave the hub out"
            )
        alone = captions is None and hub is None
        selected = check_voices(voices, captions is not None, hub is not None)
        if encoder is None:
            encoder = _known_encoder(captions, hub)
        dropped = captions is not None and "captions" not in selected
        captions = None if dropped else captions
        if mode is None and "captions" in selected and "image" not in selected:
            mode = "captions-only"
        super().__init__(
            encoder,
            labels,
            captions,
            mode=mode,
            k=k,
            templates=templates,
            approximate=approximate and (captions is not None or not dropped),
            reject=reject,
            progress=progress,
        )
        self.voices = selected
        self.specialists: tuple[Specialist, ...] = ()
        self._hub_voice: HubVoice | None = None
        self._hub: Hub | None = None
        if alone:
            self.notes = (*self.notes, IMAGE_ALONE)
        if hub is not None and "hub" in selected:
            self._hub_voice = hub if isinstance(hub, HubVoice) else HubVoice(hub)
            self._hub = self._hub_voice.open(self.encoder)

    def variant(self, mode: Mode, k: int) -> "Classifier":
        """A classifier for the same labels, store and hub, in another mode or with another k."""
        other = super().variant(mode, k)
        assert isinstance(other, Classifier)
        return other

    def predict(self, images: OnePictureOrMany) -> Iterator[Prediction | Skipped]:
        """Predicts the pictures one by one, in order.

        With a hub, all pictures are listed first and the models are selected on a sample of them.
        After that, pictures are read while the caller iterates. `notes` then has what is worth
        knowing of the models.

        Args:
            images: One picture or many: paths, PIL pictures, or uint8 arrays of shape (height,
                width, 3), (height, width) or (pictures, height, width, 3).

        Returns:
            An iterator, one row a picture: its prediction, or why it could not be read. A picture
            without a file is named "picture 0" and so on.

        Raises:
            UsageError: For an argument of another type at once, for an item of another type or
                shape while iterating.
        """
        return super().predict(images)

    def _predict(self, pictures: Iterator[PictureSource]) -> Iterator[Prediction | Skipped]:
        if self._hub_voice is None:
            yield from super()._predict(pictures)
            return
        sources = list(pictures)
        with ModelRuns(self._hub_voice.limits) as runs:
            readers = [source.read for source in sources]
            result = self.find_specialists(readers, runs)
            together: Float32[np.ndarray, "pictures dim"] | None = None
            for batch in read_batches(self.encoder, [result], readers, runs):
                together = self.asked_together(batch.embeddings, together)
                names = [sources[position].name for position in batch.readable]
                predictions = iter(self._predict_batch(result.selection, batch, names, together))
                for position in batch.positions:
                    if position in batch.unreadable:
                        yield Skipped(sources[position].name, batch.unreadable[position])
                    else:
                        yield next(predictions)
            self._note_failures(result, runs)

    @property
    def limits(self) -> Limits:
        """The limits of the worker processes that run models."""
        return Limits() if self._hub_voice is None else self._hub_voice.limits

    def find_specialists(self, readers: Sequence[ImageReader], runs: ModelRuns) -> FinderResult:
        """Searches the hub for models that know the labels; sets `specialists` and `notes`.

        Args:
            readers: The pictures, as functions that return the bytes of a file.
            runs: Runs the models.

        Raises:
            UsageError: There is no hub.
        """
        if self._hub_voice is None or self._hub is None:
            raise UsageError("there is no hub to look in; give one: Classifier(..., hub=HUB)")
        query = SpecialistQuery(
            tuple(label.words for label in self.labels),
            self.voting.prompts,
            self._other_votes,
            self._hub_voice.max_models,
            self._hub_voice.use_names,
        )
        result = Finder(self._hub.reader, self.encoder, query, runs).find(
            readers, self._hub_voice.progress
        )
        hub, names = self._hub, self._hub_voice.use_names
        self.specialists = tuple(
            describe_specialist(match, hub.labels(match.model) if names else ())
            for match in result.selection.matches
        )
        remarks = [f"{model.model} is asked: it {model.why}" for model in self.specialists]
        if not remarks:
            remarks = ["no model of the hub is asked: none is seen to know the labels"]
        self.notes = (*self.notes, *result.notes, *remarks)
        return result

    def _other_votes(
        self, embeddings: Float32[np.ndarray, "pictures dim"]
    ) -> Float64[np.ndarray, "pictures labels"]:
        """Log probabilities by image and captions, without the hub.

        In the mode paper-code by the image alone: voting would change that mode's state.
        """
        if self.mode == "paper-code":
            votes = image_vote(embeddings, self.voting.prompts, self.voting.scale)
        else:
            votes = self.voting.vote(embeddings, self.retrieve(embeddings)).pooled.probabilities
        return np.asarray(np.log(np.maximum(votes, 1e-12)))

    def _predict_batch(
        self,
        selection: Selection,
        batch: Batch,
        paths: Sequence[str],
        together: Float32[np.ndarray, "pictures dim"],
    ) -> list[Prediction]:
        """The predictions for the readable pictures of a batch, by all voices."""
        rows = list(self.predict_embeddings(batch.embeddings, paths, together))
        others = "image" in self.voices or "captions" in self.voices
        voted = add_votes(rows, selection, batch.logits, others=others)
        return judge_with_models(voted, selection, batch.logits, self._published(), self.reject)

    def _published(self) -> dict[str, tuple[str | None, ...]]:
        """The published names of the voting models' outputs; none if names do not count."""
        if self._hub is None or self._hub_voice is None or not self._hub_voice.use_names:
            return {}
        return {each.model: tuple(self._hub.labels(each.model)) for each in self.specialists}

    def _note_failures(self, result: FinderResult, runs: ModelRuns) -> None:
        """Adds to `notes` the models that failed on some pictures after they were selected."""
        failures = {f"{name} failed: {reason}" for name, reason in runs.failures.items()}
        self.notes = (*self.notes, *sorted(failures - set(result.notes)))


def check_voices(
    voices: Sequence[str] | None, has_captions: bool, has_hub: bool
) -> tuple[str, ...]:
    """The voices that vote, in the order of VOICES; all available ones if `voices` is None.

    Raises:
        UsageError: A voice is not known, or the store or hub that it needs was not given.
    """
    available = {"image": True, "captions": has_captions, "hub": has_hub}
    if voices is None:
        return tuple(voice for voice in VOICES if available[voice])
    if not voices:
        raise UsageError(f"no voices given; give some of {', '.join(VOICES)}")
    for voice in voices:
        if voice not in available:
            raise UsageError(
                f"unknown voice {voice!r}; known: {', '.join(VOICES)}."
                f"{suggest(voice, list(VOICES))}"
            )
        if not available[voice]:
            missing = {"captions": "a caption store", "hub": "a hub"}[voice]
            raise UsageError(f"the voice {voice} needs {missing}; give one, or leave the voice out")
    return tuple(voice for voice in VOICES if voice in voices)
