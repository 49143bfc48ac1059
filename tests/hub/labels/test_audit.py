"""Audits: verdicts on planted lists, single labels, and a hub of colours."""

import numpy as np
import pytest

from colour_world import MODELS, World
from lagotto.core.errors import UsageError
from lagotto.hub.hub import Hub
from lagotto.hub.labels.audit import (
    ModelAudit,
    audit_verdict,
    label_findings,
    set_zscore,
)
from lagotto.hub.labels.audits.by_references import audit_hub
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.order_test import OrderEvidence, weigh_orders

COUNT = 14
LABELS = [f"label {chr(97 + (7 * i) % COUNT)}" for i in range(COUNT)]


def audit(order: list[int], strength: float = 4.0, known: float = 6.0) -> ModelAudit:
    """The verdict on labels in some order, of a model that knows them in the order 0, 1, 2..."""
    rng = np.random.default_rng(0)
    fits = strength * np.eye(COUNT) + 0.7 * rng.normal(size=(COUNT, COUNT))
    alike = np.corrcoef(rng.normal(size=(COUNT, 30)))
    fits = fits[order].astype(np.float32)
    labels = [LABELS[i] for i in order]
    orders = weigh_orders(fits, np.eye(COUNT), alike, labels)
    return audit_verdict("m", labels, fits, orders, known)


def test_a_list_in_order_fits() -> None:
    found = audit(list(range(COUNT)))
    assert (found.verdict, found.better_order, found.proposed) == ("fits", None, None)
    assert found.score > 3


def test_a_shifted_list_is_put_right() -> None:
    found = audit(np.roll(np.arange(COUNT), 1).tolist())
    assert found.verdict == "another order fits"
    assert found.better_order == "shifted by -1"
    assert found.proposed == tuple(LABELS)
    assert found.score < -3


def test_a_permuted_list_is_contradicted_if_the_labels_are_known() -> None:
    order = np.random.default_rng(5).permutation(COUNT).tolist()
    found = audit(order)
    assert found.verdict == "contradicted"
    assert found.score < 0
    assert audit(order, known=0.5).verdict == "cannot be judged"


@pytest.mark.parametrize(("known", "verdict"), [(5.0, "cannot be judged"), (12.0, "contradicted")])
def test_the_better_a_set_is_known_the_more_its_order_has_to_show(
    known: float, verdict: str
) -> None:
    """As a list shifted by two shows where neighbours are alike: better than a random order."""
    order = OrderEvidence("as published", np.arange(COUNT), 2.5, 0.0)
    fits = np.zeros((COUNT, COUNT), np.float32)
    assert audit_verdict("model", LABELS, fits, [order], known).verdict == verdict


def test_no_more_is_asked_of_a_short_list_than_an_order_can_show() -> None:
    order = OrderEvidence("as published", np.arange(5), 2.1, 0.0)
    found = audit_verdict("model", LABELS[:5], np.zeros((5, 5), np.float32), [order], 12.0)
    assert found.verdict == "cannot be judged"


def test_what_behaviour_does_not_know_is_not_judged() -> None:
    found = audit(list(range(COUNT)), strength=0.0, known=0.0)
    assert found.verdict == "cannot be judged"
    assert not found.findings


def test_two_labels_swapped_in_a_list_that_fits_are_named() -> None:
    order = [*range(COUNT)]
    order[2], order[9] = 9, 2
    found = audit(order)
    assert found.verdict == "fits"
    assert [(each.logit, each.fits_better) for each in found.findings] == [(2, 9), (9, 2)]


def test_a_label_that_fits_nothing_is_named() -> None:
    fits = (4 * np.eye(COUNT)).astype(np.float32)
    fits[3] = -0.5
    found = label_findings(LABELS, fits)
    assert [(each.logit, each.fits_better) for each in found] == [(3, None)]


def test_a_known_set_stands_out_from_random_words() -> None:
    rng = np.random.default_rng(1)
    words = rng.normal(size=(200, COUNT)).astype(np.float32)
    known = (6 * np.eye(COUNT)[rng.permutation(COUNT)]).astype(np.float32)
    assert set_zscore(known, words) > 4 > abs(set_zscore(words[:COUNT], words))
    assert set_zscore(known, words[:1]) == 0.0
    alike = 1 + 1e-6 * rng.normal(size=words.shape).astype(np.float32)
    assert set_zscore(known, alike) == 0.0


def test_a_hub_is_audited_model_by_model(world: World) -> None:
    found = {each.model: each for each in audit_hub(Hub.open(world.hub).reader)}
    assert sorted(found) == sorted(MODELS)
    assert found["nameless"].verdict == "no labels"
    assert found["nameless"].labels == 0
    for each in found.values():
        assert each.outputs == len(MODELS[each.model].colours)
        assert np.isfinite(each.score)
        assert each.as_json()["verdict"] == each.verdict


def test_a_model_is_compared_with_outputs_of_the_others_only(world: World) -> None:
    encoder, outputs = LabelEncoder(Hub.open(world.hub).reader), 0
    for name, model in MODELS.items():
        reference = encoder.reference(name, np.zeros((72, len(model.colours)), np.float32))
        assert reference.columns is not None
        assert (~reference.columns).sum() == len(model.colours)
        outputs += (~reference.columns).sum()
        assert len(reference.columns) == sum(len(m.colours) for m in MODELS.values())
    assert outputs == len(reference.columns)


def test_a_list_of_another_length_is_wrong_whatever_fits(world: World) -> None:
    hub = Hub.open(world.hub)
    for labels in (["yellow", "black", "red"], ["white", "yellow", "black", "red", "cyan"]):
        found = hub.audit("channels_last", labels)
        assert found.verdict == "wrong count"
        assert f"{len(labels)} labels for 4 outputs" in found.reason
    with pytest.raises(UsageError, match="no labels given"):
        hub.audit("plain", [])
    with pytest.raises(UsageError, match="nosuch"):
        hub.audit("nosuch")
