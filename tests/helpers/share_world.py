"""Models by their answers alone: related ones share a few factors a probe, unrelated none."""

import numpy as np

from lagotto.evaluation.retrieval.raw_responses import RawModel

PROBES = 160
CONCEPTS = 12


def embeddings(seed: int = 0) -> np.ndarray:
    """Unit rows that tell which concept a probe shows, with noise."""
    rng = np.random.default_rng(seed)
    shown = np.arange(PROBES) % CONCEPTS
    rows = np.eye(CONCEPTS)[shown] + 0.15 * rng.standard_normal((PROBES, CONCEPTS))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def related(models: int = 30, seed: int = 0, noise: float = 0.2) -> tuple[RawModel, ...]:
    """Each knows some concepts; a probe's look (four factors) moves all logits of all models."""
    rng = np.random.default_rng(seed)
    shown = np.eye(CONCEPTS)[np.arange(PROBES) % CONCEPTS]
    look = rng.standard_normal((PROBES, 4))
    made = []
    for number in range(models):
        concepts = rng.choice(CONCEPTS, int(rng.integers(3, 7)), replace=False)
        values = 2 * shown[:, concepts] + 0.5 * look @ rng.standard_normal((4, len(concepts)))
        values += noise * rng.standard_normal(values.shape)
        values = values * rng.uniform(0.5, 3, len(concepts)) + rng.normal(0, 5, len(concepts))
        labels = tuple(f"concept {concept}" for concept in concepts)
        made.append(RawModel(f"m{number}", labels, values.astype(np.float32), None, None))
    return tuple(made)


def unrelated(models: int = 10, seed: int = 0) -> tuple[RawModel, ...]:
    """Answers that nothing predicts."""
    rng = np.random.default_rng(seed)
    return tuple(
        RawModel(
            f"u{number}",
            ("concept 0", "concept 1", "other"),
            rng.standard_normal((PROBES, 3)).astype(np.float32),
            None,
            None,
        )
        for number in range(models)
    )
