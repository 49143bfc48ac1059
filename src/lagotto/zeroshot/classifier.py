"""Zero-shot classification from end to end: encoder, labels and captions → predictions."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError, UsageError
from lagotto.core.prefetch import prefetch
from lagotto.core.registry import suggest
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.zeroshot.calibration.calibration import (
    Calibration,
    calibrate,
    read_calibration,
    write_calibration,
)
from lagotto.zeroshot.captions.index import open_indexes, recall_lines
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.fusion import MeanConfidence
from lagotto.zeroshot.images import embed_files
from lagotto.zeroshot.predictor import (
    CODE_PREFIX,
    NOT_CALIBRATED,
    GuardedSetting,
    Voting,
)
from lagotto.zeroshot.prompts.adaptation import mean_row, name_prompts
from lagotto.zeroshot.prompts.labels import (
    Label,
    make_labels,
    read_labels,
)
from lagotto.zeroshot.prompts.templates import embed_labels, read_templates
from lagotto.zeroshot.retrieval import Retrieved, Retriever
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

MODES: tuple[Mode, ...] = ("guarded", "paper", "paper-code", "image-only", "captions-only")
CALIBRATION_NAME = "calibration.json"
PICTURE_BATCH_SIZE = 128
_MEAN_PICTURES = 256


@dataclass(frozen=True, slots=True)
class _Store:
    """Captions, the search over them, and where their calibration is kept ("" to keep none)."""

    captions: Captions
    retriever: Retriever
    file: Path | None = None
    digest: str = ""
    approximate: bool = False


class ZeroShotClassifier:
    """Classifies pictures by labels in words, with the captions of a store where they help.

    Everything that depends on labels and store is worked out when it is made; a prediction is then
    a pure function of its picture, but in the mode `paper-code`, which remembers confidences until
    `variant` starts anew. `notes` are facts worth showing, one line each. With `approximate`
    retrieval asks the indexes that `lagotto captions index` made; CaptionError if there are none.
    """

    def __init__(
        self,
        encoder: Encoder | str,
        labels: Sequence[str] | Sequence[Label] | str,
        captions: Captions | Path | str | None = None,
        *,
        mode: str | None = None,
        k: int = 16,
        templates: str | Sequence[str] = "single",
        approximate: bool = False,
    ) -> None:
        self.mode = checked_mode(mode, captions is not None)
        self.k = _checked_k(k)
        if approximate and not isinstance(captions, CaptionStore | Path | str):
            raise UsageError(
                "approximate search needs a caption store in a folder; give one, or leave it out"
            )
        self.encoder = load_encoder(encoder) if isinstance(encoder, str) else encoder
        self.labels = _as_labels(labels)
        info = self.encoder.info
        self.templates = (
            read_templates(templates, info.prompt_template)
            if isinstance(templates, str)
            else tuple(templates)
        )
        store_notes: list[str] = []
        self._store = None if captions is None else self._open(captions, approximate, store_notes)
        prompts = embed_labels(self.encoder, self.labels, self.templates)
        notes = [*prompts.notes, *store_notes]
        self.voting = Voting(self.mode, prompts.embeddings, info.logit_scale)
        self._prepare(None, notes)
        self.notes = tuple(notes)

    def variant(self, mode: Mode, k: int) -> "ZeroShotClassifier":
        """The same labels and store in another mode or with another k, its `paper-code` state new.

        Cheap: labels are not encoded and the store is not read again. `notes` are those that this
        mode adds.
        """
        other = copy(self)
        other.mode = checked_mode(mode, self._store is not None)
        other.k = _checked_k(k)
        other.voting = Voting(other.mode, self.voting.prompts, self.voting.scale)
        notes: list[str] = []
        other._prepare(self.voting.guarded, notes)
        other.notes = tuple(notes)
        return other

    def _prepare(self, guarded: GuardedSetting | None, notes: list[str]) -> None:
        """Works out what the mode needs from the store; `guarded` is taken where it is known."""
        if self._store is not None and self.mode == "guarded":
            self.voting.guarded = guarded or self._guarded(self._store, notes)
        elif self._store is not None and self.mode == "paper":
            self.voting.means = self._mean_confidence(self._store)
        elif self._store is not None and self.mode == "paper-code":
            self.voting.encode = self._with_prefix

    def predict(self, paths: Iterable[Path | str]) -> Iterator[Prediction | Skipped]:
        """One row a picture, in order: its prediction, or why it could not be read.

        Pictures are read as the rows are asked for, BATCH at a time and one BATCH ahead.
        """
        for batch in prefetch(embed_files(self.encoder, map(Path, paths), PICTURE_BATCH_SIZE)):
            readable = [
                path
                for path, row in zip(batch.paths, batch.rows, strict=True)
                if not isinstance(row, Skipped)
            ]
            predictions = self.predict_embeddings(batch.embeddings, readable)
            for row in batch.rows:
                yield row if isinstance(row, Skipped) else next(predictions)

    def predict_embeddings(
        self, embeddings: Float32[np.ndarray, "pictures dim"], paths: Sequence[str]
    ) -> Iterator[Prediction]:
        """The predictions for unit embeddings of this encoder; `paths` only name them."""
        for start in range(0, len(embeddings), PICTURE_BATCH_SIZE):
            part = embeddings[start : start + PICTURE_BATCH_SIZE]
            found = self.retrieve(part)
            votes = self.voting.vote(part, found)
            for i, path in enumerate(paths[start : start + PICTURE_BATCH_SIZE]):
                yield Prediction(
                    path=path,
                    probabilities=votes.pooled.probabilities[i],
                    image_only=votes.image[i],
                    weights=(
                        float(votes.pooled.weights[i, 0]),
                        float(votes.pooled.weights[i, 1]),
                    ),
                    captions=self._shown(found, i),
                    declined=votes.declined[i],
                )

    def retrieve(self, embeddings: Float32[np.ndarray, "pictures dim"]) -> Retrieved | None:
        """The captions of unit embeddings; None in the mode image-only."""
        if self._store is None or self.mode == "image-only":
            return None
        return self._store.retriever.retrieve(embeddings, self.k)

    @property
    def calibration(self) -> Calibration | None:
        """What the captions of the store have earned; None where that is not asked or not known."""
        return self.voting.guarded.calibration if self.voting.guarded else None

    def _open(self, captions: Captions | Path | str, approximate: bool, notes: list[str]) -> _Store:
        if isinstance(captions, Path | str):
            captions = CaptionStore.open(captions, self.encoder)
        info = self.encoder.info
        if isinstance(captions, CaptionStore):
            captions.check_encoder(info)
            self.encoder = captions.watch(self.encoder)
            made_from = f"{captions.digest} {info.fingerprint} {info.prompt_template}"
            file = captions.folder / CALIBRATION_NAME
            if not approximate:
                return _Store(captions, Retriever(captions), file, made_from)
            pictures, texts, record = open_indexes(captions)
            notes.append(f"approximate search: {'; '.join(recall_lines(record))}")
            return _Store(captions, Retriever(captions, pictures, texts), file, made_from, True)
        return _Store(captions, Retriever(captions))

    def _guarded(self, store: _Store, notes: list[str]) -> GuardedSetting | None:
        calibration = _calibration(store, self.encoder, notes)
        if calibration is None:
            notes.append(f"captions are not asked: {NOT_CALIBRATED}; --mode paper asks them anyway")
            return None
        captions = store.captions
        words = [label.words for label in self.labels]
        named = name_prompts(self.voting.prompts, words, captions, calibration.naming)
        notes.append(
            f"{int((named.named > 0).sum())} of {len(words)} labels are named in captions of the "
            f"store; its own pictures: {calibration.accuracy_before:.3f} right by the image, "
            f"{calibration.accuracy_after:.3f} with others' captions"
        )
        return GuardedSetting(
            calibration,
            named.embeddings,
            mean_row(captions.image_embeddings),
            mean_row(captions.text_embeddings),
        )

    def _mean_confidence(self, store: _Store) -> MeanConfidence:
        """The paper's means, over an even sample of the store's own pictures."""
        rows = store.captions.image_embeddings
        if not len(rows):
            return MeanConfidence()
        sample = rows[:: -(-len(rows) // _MEAN_PICTURES)].astype(np.float32)
        found = store.retriever.retrieve(sample, self.k)
        prompts, scale = self.voting.prompts, self.voting.scale
        image = confidence(image_vote(sample, prompts, scale))
        captions = confidence(caption_vote(found.embeddings, found.there, prompts, scale))
        return MeanConfidence(float(image.mean()), float(captions.mean()))

    def _with_prefix(self, found: Retrieved) -> Float32[np.ndarray, "pictures k dim"]:
        """The retrieved captions encoded anew as the released script does, prefix and all."""
        rows = np.zeros_like(found.embeddings)
        for i, there in enumerate(found.there):
            texts = self._texts(found.indices[i, there].tolist())
            if texts:
                rows[i, : len(texts)] = self.encoder.embed_texts([CODE_PREFIX + t for t in texts])
        return rows

    def _texts(self, indices: list[int]) -> list[str]:
        return self._store.captions.texts(indices) if self._store and indices else []

    def _shown(self, found: Retrieved | None, i: int) -> tuple[RetrievedCaption, ...]:
        if found is None:
            return ()
        indices = found.indices[i, found.there[i]].tolist()
        texts = self._texts(indices)
        return tuple(
            RetrievedCaption(index, text, float(similarity))
            for index, text, similarity in zip(indices, texts, found.similarities[i], strict=False)
        )


def checked_mode(mode: str | None, has_captions: bool) -> Mode:
    """The mode; if none is given guarded, or image-only where there are no captions.

    Raises UsageError for one that is not known, or that needs captions where there are none.
    """
    if mode is None:
        return "guarded" if has_captions else "image-only"
    if mode not in MODES:
        raise UsageError(
            f"unknown mode {mode!r}; known: {', '.join(MODES)}.{suggest(mode, list(MODES))}"
        )
    if not has_captions and mode != "image-only":
        raise UsageError(f"mode {mode} needs captions; give a store, or take the mode image-only")
    return mode


def _checked_k(k: int) -> int:
    if k < 1:
        raise UsageError(f"k is {k}; give 1 or more captions")
    return k


def _as_labels(given: Sequence[str] | Sequence[Label] | str) -> tuple[Label, ...]:
    if isinstance(given, str):
        return read_labels(given)
    made = [each if isinstance(each, Label) else Label(each, each) for each in given]
    return make_labels([each.name for each in made], [each.descriptions for each in made])


def _calibration(store: _Store, encoder: Encoder, notes: list[str]) -> Calibration | None:
    """Read from the store's folder, or fitted and, if the folder may be written, kept there.

    Fitted with the exact search, whatever the predictions use: so it is the same for both.
    """
    known = read_calibration(store.file, store.digest) if store.file else None
    if known is not None:
        return known
    template = encoder.info.prompt_template
    exact = Retriever(store.captions) if store.approximate else store.retriever
    fitted = calibrate(store.captions, exact, encoder, template)
    if fitted is not None and store.file is not None:
        try:
            write_calibration(store.file, store.digest, fitted)
        except HubError as error:
            notes.append(f"the calibration is not kept: {error}")
    return fitted
