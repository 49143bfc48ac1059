"""An encoder, labels and a caption store come in; predictions for pictures go out."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.arguments.one_or_many import OneNameOrMany
from lagotto.core.arguments.pictures import OnePictureOrMany, PictureSource, picture_sources
from lagotto.core.errors import HubError, PictureError, UsageError
from lagotto.core.prefetch import prefetch
from lagotto.core.progress import Progress
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.arguments import as_labels, check_k, check_mode
from lagotto.zeroshot.calibration.calibration import (
    Calibration,
    calibrate,
    read_calibration,
    write_calibration,
)
from lagotto.zeroshot.captions.index import open_indexes
from lagotto.zeroshot.captions.index_record import recall_lines
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.encoder_choice import choose_encoder
from lagotto.zeroshot.fusion import MeanConfidence
from lagotto.zeroshot.images import embed_sources
from lagotto.zeroshot.predictor import (
    CODE_PREFIX,
    LEAST_TEXTS,
    NOT_CALIBRATED,
    TEXT_SHIFT,
    GuardedSetting,
    Voting,
)
from lagotto.zeroshot.prompts.adaptation import mean_row, naming_captions, shift_prompts
from lagotto.zeroshot.prompts.labels import Label, LabelList, make_labels
from lagotto.zeroshot.prompts.templates import check_templates, embed_labels, read_templates
from lagotto.zeroshot.rejection.batch_curve import LEAST_BATCH
from lagotto.zeroshot.rejection.judge import NoneJudge, check_reject
from lagotto.zeroshot.rejection.label_checks import doubtful_labels
from lagotto.zeroshot.rejection.vocabulary import OpenVocabulary, open_vocabulary
from lagotto.zeroshot.retrieval import Retrieval, Retriever
from lagotto.zeroshot.types import (
    Captions,
    Mode,
    Prediction,
    RetrievedCaption,
)
from lagotto.zeroshot.votes import (
    caption_vote,
    confidence,
    image_vote,
)

CALIBRATION_NAME = "calibration.json"
PICTURE_BATCH_SIZE = 128
_MEAN_SAMPLE = 256


@dataclass(frozen=True, slots=True)
class _Store:
    """Captions, the search over them, and the file of their calibration (None: not saved)."""

    captions: Captions
    retriever: Retriever
    file: Path | None = None
    digest: str = ""
    approximate: bool = False


class ZeroShotClassifier:
    """Classifies pictures by labels in words, with the captions of a store where they help.

    The constructor computes everything that depends on labels and store. A prediction is then a
    pure function of its picture. The mode `paper-code` is the exception: it sums confidences over
    pictures, until `variant` makes a classifier with new sums.

    Args:
        encoder: An encoder, or the folder of one; None takes the one that made the caption store.
        labels: Names of the classes, a comma list, or the path of a file of names (repeated names
            are folded into one, with a note); or `Label` objects, taken as they are. None takes
            the open vocabulary: the package's common nouns and those of the store's captions.
        captions: A caption store, its folder, or None to classify by the image alone.
        mode: One of MODES; None takes guarded, or image-only without captions.
        k: Captions found for a picture.
        templates: The name of a template set, a file of templates, or the templates themselves.
        approximate: Search the indexes that `lagotto captions index` made.
        reject: P(none) from which a picture is answered by no label; None never does so.
        progress: Receives the progress of embedding the open vocabulary, the first time.

    Attributes:
        notes: Facts worth showing to a user, one line each.

    Raises:
        UsageError: An argument has a value that is not allowed.
        CaptionError: `approximate` was given and the store has no index.
        MismatchError: The store was made with another encoder.
    """

    def __init__(  # noqa: PLR0913  # as lagotto.Classifier: a name for each choice
        self,
        encoder: Encoder | str | None,
        labels: OneNameOrMany | Iterable[Label] | None,
        captions: Captions | Path | str | None = None,
        *,
        mode: str | None = None,
        k: int = 16,
        templates: str | Sequence[str] = "single",
        approximate: bool = False,
        reject: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.reject = check_reject(reject)
        self.mode = check_mode(mode, captions is not None)
        self.k = check_k(k)
        if approximate and not isinstance(captions, CaptionStore | Path | str):
            raise UsageError(
                "approximate search needs a caption store in a folder; give one, or leave it out"
            )
        self.encoder = choose_encoder(encoder, captions)
        listed = LabelList(()) if labels is None else as_labels(labels)
        info = self.encoder.info
        self.templates = (
            read_templates(templates, info.prompt_template)
            if isinstance(templates, str)
            else check_templates(templates, "the call")
        )
        store_notes: list[str] = []
        self._store = None if captions is None else self._open(captions, approximate, store_notes)
        vocabulary = self._vocabulary(progress)
        self.labels = make_labels(vocabulary.words) if labels is None else listed.labels
        prompts = embed_labels(self.encoder, self.labels, self.templates)
        notes = [*listed.notes, *prompts.notes, *store_notes]
        self.voting = Voting(self.mode, prompts.embeddings, info.logit_scale)
        words = [label.words for label in self.labels]
        store = self._store
        self._naming = naming_captions(prompts.embeddings, words, store.captions) if store else None
        self._prepare(None, notes)
        self._judge = NoneJudge.of(vocabulary, prompts.embeddings, words, info.logit_scale)
        if labels is not None:
            notes += doubtful_labels(
                self.labels, prompts.embeddings, vocabulary.background, self.encoder, self._naming
            )
        self.notes = tuple(notes)

    def variant(self, mode: Mode, k: int) -> "ZeroShotClassifier":
        """A classifier for the same labels and store, in another mode or with another k.

        This is cheap: labels are not encoded and the store is not read again. The sums of the mode
        `paper-code` start at zero. `notes` holds only the notes that this mode adds.
        """
        other = copy(self)
        other.mode = check_mode(mode, self._store is not None)
        other.k = check_k(k)
        other.voting = Voting(other.mode, self.voting.prompts, self.voting.scale)
        notes: list[str] = []
        other._prepare(self.voting.guarded, notes)
        other.notes = tuple(notes)
        return other

    def _prepare(self, setting: GuardedSetting | None, notes: list[str]) -> None:
        """Computes what the mode needs from the store; `setting` is reused if it is not None."""
        if self._store is not None and self.mode == "guarded":
            self.voting.guarded = setting or self._guarded_setting(self._store, notes)
        elif self._store is not None and self.mode == "paper":
            self.voting.means = self._measure_mean_confidence(self._store)
        elif self._store is not None and self.mode == "paper-code":
            self.voting.reencode = self._embed_with_prefix

    def predict(self, images: OnePictureOrMany) -> Iterator[Prediction | Skipped]:
        """Predicts the pictures one by one, in order.

        Pictures are read while the caller iterates, PICTURE_BATCH_SIZE at a time and one batch
        ahead.

        Args:
            images: One picture or many: paths, PIL pictures, or uint8 arrays of shape (height,
                width, 3), (height, width) or (pictures, height, width, 3).

        Returns:
            An iterator, one row a picture: its prediction, or why it could not be read. A picture
            without a file is named "picture 0" and so on.

        Raises:
            UsageError: For an argument of another type at once, for an item of another type or
                shape while iterating.

        Example:
            >>> for row in classifier.predict(["a.jpg", "b.jpg"]):  # doctest: +SKIP
            ...     print(row.path, row.label)
        """
        return self._predict(picture_sources(images))

    def predict_proba(self, images: OnePictureOrMany) -> Float64[np.ndarray, "images labels"]:
        """The probabilities of all labels, a row a picture, in order.

        Args:
            images: As for `predict`.

        Returns:
            Probabilities of shape (images, labels), labels in the order of `labels`; rows sum to 1.

        Raises:
            PictureError: If a picture cannot be read; the message names it.
            UsageError: As `predict`.

        Example:
            >>> classifier.predict_proba("photo.jpg").argmax(axis=1)  # doctest: +SKIP
            array([2])
        """
        rows = []
        for row in self.predict(images):
            if isinstance(row, Skipped):
                raise PictureError(
                    f"cannot read {row.source}: {row.reason}; leave it out, or call predict(), "
                    "which goes on with the others"
                )
            rows.append(row.probabilities)
        return np.stack(rows)

    def _predict(self, pictures: Iterator[PictureSource]) -> Iterator[Prediction | Skipped]:
        together: Float32[np.ndarray, "pictures dim"] | None = None
        for batch in prefetch(embed_sources(self.encoder, pictures, PICTURE_BATCH_SIZE)):
            readable = [
                path
                for path, row in zip(batch.paths, batch.rows, strict=True)
                if not isinstance(row, Skipped)
            ]
            together = self.asked_together(batch.embeddings, together)
            predictions = self.predict_embeddings(batch.embeddings, readable, together)
            for row in batch.rows:
                yield row if isinstance(row, Skipped) else next(predictions)

    def asked_together(
        self,
        embeddings: Float32[np.ndarray, "pictures dim"],
        before: Float32[np.ndarray, "before dim"] | None,
    ) -> Float32[np.ndarray, "together dim"]:
        """The pictures from which P(none) of a batch is judged: its own, or those `before` if few.

        The last few pictures of a long list are judged with the batch before them.
        """
        few = before is not None and len(embeddings) < LEAST_BATCH <= len(before)
        return before if before is not None and few else embeddings

    def predict_embeddings(
        self,
        embeddings: Float32[np.ndarray, "pictures dim"],
        paths: Sequence[str],
        together: Float32[np.ndarray, "together dim"] | None = None,
    ) -> Iterator[Prediction]:
        """The predictions for unit embeddings by this encoder.

        Args:
            embeddings: Unit embeddings of the pictures.
            paths: Their names; they only name the pictures.
            together: Embeddings of the pictures that are asked together, for P(none); None for
                `embeddings`.
        """
        names = tuple(label.name for label in self.labels)
        together = embeddings if together is None else together
        every_none = self._judge.probability(embeddings, together)
        for start in range(0, len(embeddings), PICTURE_BATCH_SIZE):
            part = embeddings[start : start + PICTURE_BATCH_SIZE]
            retrieved = self.retrieve(part)
            votes = self.voting.vote(part, retrieved)
            none = every_none[start : start + PICTURE_BATCH_SIZE].tolist()
            for i, path in enumerate(paths[start : start + PICTURE_BATCH_SIZE]):
                found = self._captions_of(retrieved, i)
                yield Prediction(
                    path=path,
                    probabilities=votes.pooled.probabilities[i],
                    image_only=votes.image[i],
                    weights=(
                        float(votes.pooled.weights[i, 0]),
                        float(votes.pooled.weights[i, 1]),
                    ),
                    captions=found,
                    declined=votes.declined[i],
                    labels=names,
                    none=none[i],
                    suggestions=self._judge.suggest(part[i], [each.text for each in found]),
                    rejected=self.reject is not None and none[i] >= self.reject,
                )

    def retrieve(self, embeddings: Float32[np.ndarray, "pictures dim"]) -> Retrieval | None:
        """The captions of pictures with these unit embeddings; None in the mode image-only."""
        if self._store is None or self.mode == "image-only":
            return None
        return self._store.retriever.retrieve(embeddings, self.k)

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of the store; None in other modes than guarded, or if it has none."""
        return self.voting.guarded.calibration if self.voting.guarded else None

    def _vocabulary(self, progress: Progress | None) -> OpenVocabulary:
        """The words that compete with the labels, kept in the store's folder if there is one."""
        store = self._store
        if store is None:
            return open_vocabulary(self.encoder, None, None, "", progress)
        folder = None if store.file is None else store.file.parent
        return open_vocabulary(self.encoder, store.captions, folder, store.digest, progress)

    def _open(self, captions: Captions | Path | str, approximate: bool, notes: list[str]) -> _Store:
        if isinstance(captions, Path | str):
            captions = CaptionStore.open(captions, self.encoder)
        info = self.encoder.info
        if isinstance(captions, CaptionStore):
            captions.check_encoder(info)
            self.encoder = captions.watch(self.encoder)
            made_from = f"{captions.digest} {info.fingerprint} {info.prompt_template}"
            file = captions.content.kept_in() / CALIBRATION_NAME
            if not approximate:
                record = captions.content.index_record()
                if record is not None:
                    notes.append(f"searched on the server: {'; '.join(recall_lines(record))}")
                return _Store(captions, Retriever(captions), file, made_from)
            pictures, texts, record = open_indexes(captions)
            notes.append(f"approximate search: {'; '.join(recall_lines(record))}")
            return _Store(captions, Retriever(captions, pictures, texts), file, made_from, True)
        return _Store(captions, Retriever(captions))

    def _guarded_setting(self, store: _Store, notes: list[str]) -> GuardedSetting | None:
        """The parameters of the guarded rule; None if the store has too little for it."""
        calibration = _load_calibration(store, self.encoder, notes)
        captions, naming = store.captions, self._naming or ()
        if calibration is None and len(captions.text_embeddings) < LEAST_TEXTS:
            notes.append(f"captions are not asked: {NOT_CALIBRATED}; --mode paper asks them anyway")
            return None
        shift = TEXT_SHIFT if calibration is None else calibration.prompt_shift
        shifted = shift_prompts(self.voting.prompts, naming, captions, shift)
        named = sum(len(rows) > 0 for rows in naming)
        note = f"{named} of {len(naming)} labels are named in captions of the store"
        if calibration is not None:
            note += (
                f"; its own pictures: {calibration.accuracy_before:.3f} right by the image, "
                f"{calibration.accuracy_after:.3f} with what others' captions teach"
            )
        notes.append(note)
        return GuardedSetting(calibration, shifted, mean_row(captions.image_embeddings))

    def _measure_mean_confidence(self, store: _Store) -> MeanConfidence:
        """The mean confidences of the paper's rule, over an even sample of the store's pictures."""
        rows = store.captions.image_embeddings
        if not len(rows):
            return MeanConfidence()
        sample = rows[:: -(-len(rows) // _MEAN_SAMPLE)].astype(np.float32)
        retrieved = store.retriever.retrieve(sample, self.k)
        prompts, scale = self.voting.prompts, self.voting.scale
        image = confidence(image_vote(sample, prompts, scale))
        captions = confidence(caption_vote(retrieved.embeddings, retrieved.present, prompts, scale))
        return MeanConfidence(float(image.mean()), float(captions.mean()))

    def _embed_with_prefix(self, retrieved: Retrieval) -> Float32[np.ndarray, "pictures k dim"]:
        """Embeds the retrieved captions again, with the prefix of the paper's released script."""
        rows = np.zeros_like(retrieved.embeddings)
        for i, present in enumerate(retrieved.present):
            texts = self._texts(retrieved.indices[i, present].tolist())
            if texts:
                rows[i, : len(texts)] = self.encoder.embed_texts([CODE_PREFIX + t for t in texts])
        return rows

    def _texts(self, indices: list[int]) -> list[str]:
        return self._store.captions.texts(indices) if self._store and indices else []

    def _captions_of(self, retrieved: Retrieval | None, i: int) -> tuple[RetrievedCaption, ...]:
        if retrieved is None:
            return ()
        indices = retrieved.indices[i, retrieved.present[i]].tolist()
        texts = self._texts(indices)
        return tuple(
            RetrievedCaption(index, text, float(similarity))
            for index, text, similarity in zip(
                indices, texts, retrieved.similarities[i], strict=False
            )
        )


def _load_calibration(store: _Store, encoder: Encoder, notes: list[str]) -> Calibration | None:
    """Reads the calibration from the store's folder, or fits it and saves it there if possible.

    It is always fitted with the exact search, so that it does not depend on `approximate`.
    """
    stored = read_calibration(store.file, store.digest) if store.file else None
    if stored is not None:
        return stored
    template = encoder.info.prompt_template
    exact = Retriever(store.captions) if store.approximate else store.retriever
    fitted = calibrate(store.captions, exact, encoder, template)
    if fitted is not None and store.file is not None:
        try:
            write_calibration(store.file, store.digest, fitted)
        except HubError as error:
            notes.append(f"the calibration is not kept: {error}")
    return fitted
