"""The published lists of raw responses, right or permuted, as search believes them."""

from dataclasses import replace

import numpy as np

from calibration.known_answers import World
from lagotto.evaluation.retrieval.raw_responses import RawResponses
from lagotto.hub.labels.audit import audit_verdict, set_standing
from lagotto.hub.labels.fit import (
    Reference,
    fit,
    standardized_responses,
    text_evidence,
)
from lagotto.hub.labels.order_test import weigh_orders
from lagotto.hub.labels.trust import trust_levels
from lagotto.hub.store.records import AuditRecord
from lagotto.hub.text.matching import FIRMLY


def with_lists(
    world: World, raw: RawResponses, kept: np.ndarray, seed: int | None = None
) -> tuple[World, dict[str, int]]:
    """The world with what is published and believed: the true lists, or each permuted by a seed.

    Each list is audited as `lagotto search` does it, on the probes that are kept; the counts of the
    verdicts are given too, and under "believed labels" how many labels are.
    """
    rng = np.random.default_rng(seed)
    galleries = [standardized_responses(model.values[kept]) for model in raw.models]
    elsewhere = np.concatenate([standardized[:, ::10] for standardized in galleries[1::5]], axis=1)
    words = text_evidence(world.space, world.space.background)
    evidence = text_evidence(world.space, world.embeddings)
    published, verdicts = [], {}
    for place, standardized in enumerate(galleries):
        true = world.known.concept[world.known.owner == place]
        listed = true if seed is None else true[rng.permutation(len(true))]
        around = Reference(words, np.concatenate([standardized, elsewhere], axis=1))
        read = replace(
            evidence, standing=evidence.standing[listed], weights=evidence.weights[listed]
        )
        fits = fit(read, standardized, around)
        likeness = world.embeddings[listed] @ world.embeddings[listed].T
        labels = [world.known.names[concept] for concept in listed]
        orders = weigh_orders(
            fits, likeness, standardized.T @ standardized / len(standardized), labels
        )
        known_set = set_standing(fits, fit(words, standardized, around))
        found = audit_verdict(world.known.models[place], labels, fits, orders, known_set)
        doubted = tuple(finding.logit for finding in found.findings)
        trust = trust_levels(AuditRecord("", found.verdict, doubted), len(labels))
        published.append(np.where(trust >= FIRMLY, listed, -1))
        verdicts[found.verdict] = verdicts.get(found.verdict, 0) + 1
    believed = np.concatenate(published)
    verdicts["believed labels"] = int((believed >= 0).sum())
    return world.publishing(believed), verdicts
