"""Bare files: how a model is fed is found by trying, and told with its margin and runner-up.

Every candidate sees the same few dozen pictures. Two things are looked at, neither of which needs
a label:

- *centring* (insides.py): how close to zero the channels of the inner layers lie, averaged over
  the layers that take both signs. It settles scale and channel order wherever a model was trained
  with batch normalisation, and says nothing where no layer takes both signs.
- *consistency*: whether a picture and its mirror image are given the same class more surely than
  two different pictures are: log of the chance to agree, above that of strangers, over the log of
  the number of classes. It is far below zero where the logits are absurdly large. Where no layer
  can be looked at, only what is below zero counts.

score = centring * layers / (layers + 5) + consistency / 2. Channel order goes by centring alone
(mirror images agree as well in the wrong colours). The custom, RGB and 0..1, is kept unless
something else is clearly ahead. What it was chosen on, and how often it is right: docs/results.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from lagotto.core.errors import ModelError
from lagotto.core.types import Channels, Decision, InputField, InputSpec, PixelSpec
from lagotto.core.vectors import softmax
from lagotto.models.classifier import Classifier, Insides
from lagotto.models.feeds import Feed, candidate_specs, feed_of
from lagotto.models.input_spec import scale_text
from lagotto.models.insides import OFF_CENTRE, LayerMoments, shared_layers

PICTURES = 32
"""How many pictures every candidate sees."""

BGR_AHEAD = 0.1
"""BGR is taken only where its centring is better than that of RGB by more than this."""

SCALE_AHEAD = 0.2
"""Another feed than plain 0..1 is taken only where its score is higher by more than this."""

Pictures: TypeAlias = Callable[[PixelSpec], UInt8[np.ndarray, "pictures height width channels"]]

_FEW_LAYERS = 5
_CUSTOM = Feed("0..1")
_CONSISTENCY_WEIGHT = 0.5
_LEAST, _MOST = -3.0, 1.0
_INFERRED: frozenset[InputField] = frozenset({"scale", "channels"})


@dataclass(frozen=True, slots=True)
class Trial:
    """What a feed scored in its better channel order.

    `centring` is that order's, `ahead` how far it is before the other (None: there is no other),
    `layers` on how many layers both rest. `consistency` is None until it had to be known.
    """

    spec: InputSpec
    centring: float
    layers: int
    ahead: float | None = None
    consistency: float | None = None

    @property
    def score(self) -> float:
        """Larger is more like a trained classifier; the most it can be while not all is known."""
        known = _MOST if self.consistency is None else self.consistency
        if not self.layers:  # alone it prefers contrast: it can only speak against a feed
            known = min(known, 0.0)
        return self.centring + _CONSISTENCY_WEIGHT * known


def missing_fields(model: Classifier) -> frozenset[InputField]:
    """The parts of the input that were assumed and can be found by trying."""
    assumed = {each.field for each in model.spec.decisions if each.origin == "assumed"}
    return _INFERRED & assumed


def settle_input(model: Classifier, pictures: Pictures) -> Classifier:
    """The model fed as it most likely was in training; itself if nothing is missing.

    `pictures` decodes the same pictures for any PixelSpec. Same model, same pictures, same answer.
    """
    missing = missing_fields(model)
    specs = candidate_specs(model.spec.input, missing)
    if not missing or len(specs) < 2:
        return model
    best, decisions = decide(_try_all(model, specs, pictures), missing)
    changed = {decision.field: decision for decision in decisions}
    assumptions = tuple(f"{name} assumed" for name in changed)
    return model.fed(
        best,
        tuple(changed.get(each.field, each) for each in model.spec.decisions),
        (
            *(decision_note(each) for each in decisions),
            *(note for note in model.spec.notes if not note.startswith(assumptions)),
        ),
    )


def decide(
    ranked: Sequence[Trial], missing: frozenset[InputField]
) -> tuple[InputSpec, tuple[Decision, ...]]:
    """The input of the best trial, and a decision for each field that was missing."""
    taken = _taken(ranked)
    decisions = []
    if "channels" in missing:
        decisions.append(_channels(taken))
    if "scale" in missing:
        other = ranked[1] if taken is ranked[0] else ranked[0]
        decisions.append(_scale(taken, other))
    return taken.spec, tuple(decisions)


def decision_note(decision: Decision) -> str:
    """One line for a reader."""
    text = f"{decision.field} {decision.origin}: {decision.value}"
    if decision.runner_up is not None and decision.margin is not None:
        text += f" ({decision.margin:+.2f} over {decision.runner_up})"
    return text


def _custom(ranked: Sequence[Trial]) -> Trial | None:
    """The trial of plain 0..1, if it was among the candidates."""
    return next((trial for trial in ranked if feed_of(trial.spec) == _CUSTOM), None)


def _taken(ranked: Sequence[Trial]) -> Trial:
    """The custom, unless another trial is clearly ahead of it."""
    custom = _custom(ranked)
    if custom is not None and ranked[0].score - custom.score <= SCALE_AHEAD:
        return custom
    return ranked[0]


def _try_all(
    model: Classifier, specs: Sequence[InputSpec], pictures: Pictures
) -> tuple[Trial, ...]:
    """A trial for each feed, best first; the scores of the first two and of the custom are exact.

    Consistency costs two runs a picture and moves a score little, so it is looked at only where
    it can change the answer.
    """
    pixels = pictures(specs[0].pixels)
    trials = _centred(model, specs, pixels)
    while True:
        trials.sort(key=lambda trial: -trial.score)  # stable: equal ones stay in the usual order
        custom = _custom(trials)
        deciding = [*trials[:2], *((custom,) if custom is not None else ())]
        unknown = next((trial for trial in deciding if trial.consistency is None), None)
        if len(trials) < 2 or unknown is None:
            return tuple(trials)
        value = _consistency(model, unknown.spec, pixels)
        trials[trials.index(unknown)] = replace(unknown, consistency=value)


def _centred(
    model: Classifier,
    specs: Sequence[InputSpec],
    pixels: UInt8[np.ndarray, "pictures height width channels"],
) -> list[Trial]:
    """Each feed in its better channel order, RGB unless BGR is clearly ahead."""
    insides = model.open_insides()
    moments = {spec: _moments(model, insides, spec, pixels) for spec in specs}
    shared = shared_layers(layers for layers in moments.values() if layers)
    centring = {spec: _centring(layers, shared) for spec, layers in moments.items()}
    feeds: dict[Feed, dict[Channels, InputSpec]] = {}
    for spec in specs:
        feeds.setdefault(feed_of(spec), {})[spec.channels] = spec
    trials = []
    for orders in feeds.values():
        usual, *others = orders.values()
        ahead = centring[usual] - centring[others[0]] if others else None
        chosen = others[0] if ahead is not None and -ahead > BGR_AHEAD else usual
        lead = -ahead if ahead is not None and chosen != usual else ahead
        trials.append(Trial(chosen, centring[chosen], len(shared), lead))
    return trials


def _centring(layers: Sequence[LayerMoments], shared: Sequence[int]) -> float:
    """The mean over the shared layers, trusted the less the fewer they are."""
    if not shared:
        return 0.0
    values = [layers[place].centring for place in shared] if layers else [OFF_CENTRE]
    return float(np.mean(values)) * len(shared) / (len(shared) + _FEW_LAYERS)


def _channels(best: Trial) -> Decision:
    """The channel order of a trial: inferred where it is clearly ahead, else the custom."""
    value = best.spec.channels
    if best.ahead is None:
        return Decision("channels", value, "assumed")
    other: Channels = "BGR" if value == "RGB" else "RGB"
    reason = _evidence(best)
    if best.ahead > BGR_AHEAD:
        return Decision("channels", value, "inferred", round(best.ahead, 4), other, reason)
    return Decision("channels", value, "assumed", round(best.ahead, 4), other, reason)


def _scale(taken: Trial, other: Trial) -> Decision:
    """The feed of a trial: inferred where it is clearly ahead or not the custom."""
    margin = taken.score - other.score
    sure = margin > SCALE_AHEAD or feed_of(taken.spec) != _CUSTOM
    return Decision(
        "scale",
        scale_text(taken.spec),
        "inferred" if sure else "assumed",
        round(margin, 4),
        scale_text(other.spec),
        _evidence(taken),
    )


def _evidence(trial: Trial) -> str:
    return f"{trial.layers} layers on {PICTURES} probes"


def _moments(
    model: Classifier,
    insides: Insides | None,
    spec: InputSpec,
    pixels: UInt8[np.ndarray, "pictures height width channels"],
) -> list[LayerMoments]:
    """Of every layer; empty where the insides cannot be run."""
    if insides is None:
        return []
    moments: list[LayerMoments] = []
    for start in range(0, len(pixels), model.batch):
        piece = pixels[start : start + model.batch]
        try:
            values = insides.run(model.prepared(piece, spec))
        except ModelError:
            return []
        moments = moments or [LayerMoments() for _ in values]
        for layer, each in zip(moments, values, strict=True):
            layer.add(each[: len(piece)])
    return moments


def _consistency(
    model: Classifier,
    spec: InputSpec,
    pixels: UInt8[np.ndarray, "pictures height width channels"],
) -> float:
    """How much more surely a picture and its mirror image agree than two pictures do."""
    fed = model.fed(spec, (), ())
    try:
        logits = [fed.logits(view).astype(np.float64) for view in (pixels, pixels[:, :, ::-1])]
    except ModelError:
        return _LEAST
    if not all(np.isfinite(each).all() for each in logits) or logits[0].shape[1] < 2:
        return _LEAST
    here, mirrored = (softmax(each) for each in logits)
    same = np.log(np.sum(here * mirrored, axis=1) + 1e-12)
    strangers = np.log(here @ mirrored.mean(axis=0) + 1e-12)
    agreement = float((same - strangers).mean()) / float(np.log(here.shape[1]))
    return max(agreement, _LEAST)
