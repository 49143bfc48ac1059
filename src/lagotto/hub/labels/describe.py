"""A model's responses and a vocabulary in, names for its anonymous outputs out.

Each name has a confidence and the probes that speak most for it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.results.through import Through
from lagotto.core.text.names import first_name
from lagotto.core.types import JsonObject
from lagotto.core.vectors import top_k
from lagotto.encoders.background.words import background_words
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.fit import (
    TextEvidence,
    fit,
    standardized_responses,
)
from lagotto.hub.labels.transport import sinkhorn_assign
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.names import TwinNames
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.model_responses import ModelResponses

SURE = 0.2
"""Confidence from which a proposed name is written to a labels file."""

_PROBES = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """A name for an output. `fit`: standard deviations above what is usual for both; `confidence`:
    its share of the output's belief, next to all other names and to "none of them".

    A name that is the believed label of another model's output says so in `through`: `confidence`
    is the probability that both recognise the same, and `fit` is 0.
    """

    name: str
    fit: float
    confidence: float
    through: Through | None = None


@dataclass(frozen=True, slots=True)
class NamedLogit:
    """An output with its proposals, best first, and the probes that speak most for the best.

    `label` is the published one, for comparison: it had no part in the proposals. An output that
    is the same on all probes, or not finite, has no proposal.
    """

    logit: int
    label: str | None
    proposals: tuple[Proposal, ...]
    probes: tuple[int, ...]

    @property
    def name(self) -> str:
        """The best proposal if it is sure enough, else `unknown_` and the output's number."""
        best = self.proposals[0] if self.proposals else None
        return best.name if best and best.confidence >= SURE else f"unknown_{self.logit}"


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What the outputs of a model recognise, as far as a vocabulary has words for it."""

    model: str
    vocabulary: int
    logits: tuple[NamedLogit, ...]

    def as_json(self) -> JsonObject:
        """The answer of `lagotto describe --json`, without its probes' sources."""
        return {
            "model": self.model,
            "vocabulary": self.vocabulary,
            "logits": [
                {
                    "logit": output.logit,
                    "label": output.label,
                    "name": output.name,
                    "proposals": [
                        {
                            "name": proposal.name,
                            "confidence": round(proposal.confidence, 4),
                            "fit": round(proposal.fit, 3),
                            "through": None
                            if proposal.through is None
                            else asdict(proposal.through),
                        }
                        for proposal in output.proposals
                    ],
                    "probes": list(output.probes),
                }
                for output in self.logits
            ],
        }


def describe_model(
    hub: HubReader,
    known: ModelResponses,
    vocabulary: Sequence[str] | None = None,
    *,
    top: int = 5,
) -> ModelDescription:
    """Proposed names for each output of a model, from its responses.

    Args:
        hub: the hub whose probes the model has seen.
        known: the model's responses.
        vocabulary: the names to choose from; None for the believed labels of other models in the
            hub and the common words of the package, the likelier ones first.
        top: how many proposals an output gets.

    Raises:
        UsageError: for a vocabulary without a name, or `top` below 1.
    """
    names = background_words() if vocabulary is None else tuple(dict.fromkeys(vocabulary))
    if top < 1 or not names:
        raise UsageError(f"{top} names of a vocabulary of {len(names)} were asked for; give 1 each")
    standardized = standardized_responses(known.values)
    reader = LabelEncoder(hub)
    evidence = reader.read(names).evidence
    fits = fit(evidence, standardized, reader.reference(known.name, standardized))
    shares = sinkhorn_assign(fits)
    ranked = top_k(shares.T, top)
    best = ranked[:, 0]
    probes = top_probes(evidence, standardized, best)
    constant = (standardized == 0).all(axis=0).tolist()
    trust = LabelTrust(hub.label_lists(), hub.references())
    ways = TwinNames(hub, trust).of(known) if vocabulary is None else {}
    logits = []
    for logit, positions in enumerate(ranked.tolist()):
        twins = _twin_proposals(ways.get(logit, ()))
        proposals = tuple(
            Proposal(names[index], float(fits[index, logit]), float(shares[index, logit]))
            for index in positions
        )
        named = sorted((*twins, *proposals), key=lambda proposal: -proposal.confidence)
        none = constant[logit]
        logits.append(
            NamedLogit(
                logit,
                known.labels[logit],
                () if none else tuple(named[:top]),
                () if none else tuple(probes[:, logit].tolist()),
            )
        )
    return ModelDescription(known.name, len(names), tuple(logits))


def _twin_proposals(ways: Sequence[Through]) -> tuple[Proposal, ...]:
    """The names of an output's twins that are likely enough, each once."""
    names: dict[str, Proposal] = {}
    for way in ways:
        name = first_name(way.label)
        if way.probability >= SURE and name not in names:
            names[name] = Proposal(name, 0.0, way.probability, way)
    return tuple(names.values())


def top_probes(
    names: TextEvidence,
    standardized: Float32[np.ndarray, "probes logits"],
    best: Int64[np.ndarray, " logits"],
) -> Int64[np.ndarray, "top logits"]:
    """For each output the probes on which it and its name are both highest, strongest first."""
    both = np.maximum(names.zscores[best].T, 0.0) * np.maximum(standardized, 0.0)
    return top_k(np.ascontiguousarray(both.T), _PROBES).T
