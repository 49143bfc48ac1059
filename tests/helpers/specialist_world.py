"""Synthetic logits of a weak encoder and strong models, whose outputs match known labels."""

import numpy as np

from lagotto.specialists.label_names import named_outputs
from lagotto.specialists.matching import SpecialistCandidate
from lagotto.specialists.probe_evidence import EncoderView, ProbeEvidence

LABELS = ("amber", "birch", "cedar", "dahlia", "elder", "fennel")


class Scene:
    """Pictures of LABELS and probes of other things, with an encoder's logits for both.

    `truth` has the label of each picture; the methods make models.
    """

    def __init__(
        self, seed: int = 0, pictures: int = 240, probes: int = 200, clear: float = 1.2
    ) -> None:
        self._rng = np.random.default_rng(seed)
        count = len(LABELS)
        self.truth = self._rng.integers(0, count, pictures)
        self._probe_signal = self._rng.normal(0, 0.7, (probes, count))
        self.logits = clear * np.eye(count)[self.truth] + self._noise(pictures, count)
        self.probe_logits = self._probe_signal + self._noise(probes, count)

    @property
    def view(self) -> EncoderView:
        return EncoderView.of(self.logits)

    @property
    def probe_view(self) -> EncoderView:
        return EncoderView.of(self.probe_logits)

    def accuracy(self, scores: np.ndarray) -> float:
        return float((scores.argmax(axis=1) == self.truth).mean())

    def specialist(
        self,
        name: str = "specialist",
        knows: tuple[int, ...] = tuple(range(len(LABELS))),
        more: int = 0,
        strength: float = 6.0,
        names: tuple[str | None, ...] = (),
    ) -> SpecialistCandidate:
        """A model whose output i is label knows[i], with `more` outputs for other things.

        On pictures of labels that it does not know, one of the other outputs is high.
        """
        clear = np.zeros((len(self.truth), len(knows) + more))
        for output, label in enumerate(knows):
            clear[self.truth == label, output] = strength
        unknown = np.flatnonzero(~np.isin(self.truth, knows))
        if more:
            clear[unknown, len(knows) + self._rng.integers(0, more, len(unknown))] = strength
        on_probes = np.concatenate(
            [
                self._probe_signal[:, list(knows)],
                self._rng.normal(0, 0.7, (len(self._probe_signal), more)),
            ],
            axis=1,
        )
        return self.candidate(
            name,
            clear + self._noise(*clear.shape),
            on_probes + self._noise(*on_probes.shape),
            names,
        )

    def stranger(self, name: str = "stranger", outputs: int = 9) -> SpecialistCandidate:
        """A confident model that is independent of the labels."""
        return self.candidate(
            name,
            4 * self._noise(len(self.truth), outputs),
            4 * self._noise(len(self._probe_signal), outputs),
        )

    def candidate(
        self,
        name: str,
        logits: np.ndarray,
        responses: np.ndarray,
        names: tuple[str | None, ...] = (),
        probes: np.ndarray | None = None,
    ) -> SpecialistCandidate:
        """A candidate with these logits on the pictures and responses to the probes."""

        evidence = ProbeEvidence.of(responses.astype(np.float32), self.probe_view, probes)
        return SpecialistCandidate(name, logits, evidence, named_outputs(LABELS, names))

    def _noise(self, rows: int, columns: int) -> np.ndarray:
        return self._rng.normal(0, 1, (rows, columns))
