"""Labels that an encoder sees badly and a model well, in arrays: which output is which is known."""

import numpy as np

from lagotto.specialists.label_names import named_outputs
from lagotto.specialists.matching import SpecialistCandidate
from lagotto.specialists.probe_evidence import Behaviour, View

LABELS = ("amber", "birch", "cedar", "dahlia", "elder", "fennel")


class Scene:
    """Pictures of LABELS and probes of other things, as one encoder and any number of models see
    them. `truth` has the label of each picture."""

    def __init__(
        self, seed: int = 0, pictures: int = 240, probes: int = 200, clear: float = 1.2
    ) -> None:
        self._rng = np.random.default_rng(seed)
        count = len(LABELS)
        self.truth = self._rng.integers(0, count, pictures)
        self._shown = self._rng.normal(0, 0.7, (probes, count))
        self.logits = clear * np.eye(count)[self.truth] + self._noise(pictures, count)
        self.probe_logits = self._shown + self._noise(probes, count)

    @property
    def seen(self) -> View:
        return View.of(self.logits)

    @property
    def probed(self) -> View:
        return View.of(self.probe_logits)

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
        """A model whose output i is label knows[i], with `more` outputs for other things; on
        pictures of labels that it does not know, one of those others speaks."""
        clear = np.zeros((len(self.truth), len(knows) + more))
        for output, label in enumerate(knows):
            clear[self.truth == label, output] = strength
        unknown = np.flatnonzero(~np.isin(self.truth, knows))
        if more:
            clear[unknown, len(knows) + self._rng.integers(0, more, len(unknown))] = strength
        on_probes = np.concatenate(
            [self._shown[:, list(knows)], self._rng.normal(0, 0.7, (len(self._shown), more))],
            axis=1,
        )
        return self.candidate(
            name,
            clear + self._noise(*clear.shape),
            on_probes + self._noise(*on_probes.shape),
            names,
        )

    def stranger(self, name: str = "stranger", outputs: int = 9) -> SpecialistCandidate:
        """A model that is sure of itself and knows nothing of the labels."""
        return self.candidate(
            name,
            4 * self._noise(len(self.truth), outputs),
            4 * self._noise(len(self._shown), outputs),
        )

    def candidate(
        self,
        name: str,
        logits: np.ndarray,
        responses: np.ndarray,
        names: tuple[str | None, ...] = (),
        probes: np.ndarray | None = None,
    ) -> SpecialistCandidate:
        """A model that answers so on the pictures and on the probes."""
        behaviour = Behaviour.of(responses.astype(np.float32), self.probed, probes)
        return SpecialistCandidate(name, logits, behaviour, named_outputs(LABELS, names))

    def _noise(self, rows: int, columns: int) -> np.ndarray:
        return self._rng.normal(0, 1, (rows, columns))
