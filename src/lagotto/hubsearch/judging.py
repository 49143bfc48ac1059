"""Stage 5f of hub search: hits of a concept in words → what is to be believed of them.

Puts the clues together: rivals, agreement, coverage → confidence, presence, quality. A `Judge` is
made once a hub; what is costly about it is kept in the hub's folder.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.errors import HubError
from lagotto.encoders.base import Encoder
from lagotto.hubsearch.background import background_words
from lagotto.hubsearch.confidence import (
    WORD_RIVALS,
    Clues,
    agreement,
    presence_note,
    shipped_calibrator,
)
from lagotto.hubsearch.gallery import Gallery
from lagotto.hubsearch.probe_coverage import coverage, coverage_note
from lagotto.hubsearch.quality import expected_quality, quality_table
from lagotto.hubsearch.rivals import Rivals, measure_rivals, rival_level
from lagotto.hubsearch.tensorfile import Array, header_text, open_tensors, write_tensors
from lagotto.hubsearch.weighing import ProbeSpace

FORMAT = "lagotto-rivals"
VERSION = 2

_PARTS = ("embeddings", "probes", "weights", "sum_mean", "sum_std", "along_mean", "along_std")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be believed of hits, and of the search as a whole.

    `presence` is how likely any logit of the hub recognises the concept, `coverage` how surely any
    probe shows it.
    """

    confidence: Float64[np.ndarray, " hits"]
    quality: Float64[np.ndarray, " hits"]
    presence: float
    coverage: float

    def notes(self, text: str) -> tuple[str, ...]:
        """What the user has to know before reading the hits of the query `text`."""
        notes = (presence_note(text, self.presence), coverage_note(text, self.coverage))
        return tuple(note for note in notes if note is not None)


@dataclass(frozen=True, slots=True)
class Judge:
    """A hub as hits are judged in it: its gallery, and the words that are rivals of any query."""

    space: ProbeSpace
    gallery: Gallery
    words: Rivals

    def judge(
        self,
        concept: Float32[np.ndarray, " dim"],
        pool: Int64[np.ndarray, " pool"],
        hits: Int64[np.ndarray, " hits"],
        scores: Float64[np.ndarray, " both"],
    ) -> Judgement | None:
        """Judges hits (columns of the gallery) of a concept, the unit embedding of its prompt.

        `pool` are the best POOL hits, or all of fewer, best first; `scores` those of the pool and
        then of the hits, by the default rule. A hit may be of the pool. None for an encoder
        that takes every background word for the concept: there is nothing to tell it from.
        """
        columns, places = np.unique(np.concatenate([pool, hits]), return_inverse=True)
        found, raised = self.gallery.plain_and_blended(columns)
        directions = self.gallery.directions(columns)
        lead = scores - rival_level(self.words, concept, raised, directions, WORD_RIVALS)[places]
        if not np.isfinite(lead).all():
            return None
        owners = self.gallery.owners(columns)
        clues = Clues(
            scores,
            lead,
            agreement(found[:, places], owners[places], len(pool)),
            coverage(self.space, concept),
            len(pool),
        )
        calibrator = shipped_calibrator()
        shown = slice(len(pool), None)
        confidence = calibrator.confidence(clues)[shown]
        outputs = self.gallery.outputs(owners[places[shown]])
        table = quality_table(found[:, places[shown]], clues.agreement[shown], outputs)
        return Judgement(
            confidence,
            expected_quality(table, confidence),
            calibrator.presence(clues),
            clues.coverage,
        )


def open_judge(
    path: Path, space: ProbeSpace, encoder: Encoder, gallery: Gallery, probe_digest: str
) -> Judge:
    """The judge of a hub; its rivals are kept in `path`, and made first where they are not there.

    A folder that cannot be written costs about a second again each time, and nothing else.
    """
    info = encoder.info
    made_of = [probe_digest, info.fingerprint, info.prompt_template, *background_words()]
    wanted = sha256("\n".join([*made_of, *gallery.digests]).encode()).hexdigest()
    rivals = _read(path, wanted, space)
    if rivals is None:
        sample = gallery.blended(gallery.sample)
        rivals = measure_rivals(space, space.background, sample)
        _write(path, wanted, rivals)
    return Judge(space, gallery, rivals)


def _read(path: Path, wanted: str, space: ProbeSpace) -> Rivals | None:
    try:
        file = open_tensors(path, FORMAT, VERSION)
        if header_text(file, "made_of") != wanted or set(file.arrays) != set(_PARTS):
            return None
    except HubError:
        return None
    values = {name: np.array(file.arrays[name]) for name in _PARTS}
    values["probes"] = values["probes"].astype(np.int64)
    return Rivals(origin=space.background_mean, **values)


def _write(path: Path, wanted: str, rivals: Rivals) -> None:
    values = {name: getattr(rivals, name) for name in _PARTS}

    def fill(arrays: Mapping[str, Array]) -> None:
        for name, value in values.items():
            arrays[name][...] = value

    with suppress(HubError):
        write_tensors(
            path,
            {"format": FORMAT, "version": VERSION, "made_of": wanted},
            {name: ("F32", value.shape) for name, value in values.items()},
            fill,
        )
