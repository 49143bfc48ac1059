"""A hub whose right answers are planted, as a world to calibrate on."""

import numpy as np
import pytest

from calibration.known_answers import World as Known
from calibration.known_answers import draw_trials
from calibration.published_answers import hub_world
from colour_world import NAMES, World, planted
from lagotto.core.errors import UsageError
from lagotto.evaluation.retrieval.logit_table import hub_table
from lagotto.evaluation.retrieval.truth import TruthQuery
from lagotto.hub.confidence.calibrator import hit_features, shipped_calibrator
from lagotto.hub.hub import Hub
from lagotto.hub.text.matching import FIRMLY

TRUTH = tuple(TruthQuery(name, "colour", planted(name)) for name in NAMES[:5])


@pytest.fixture(scope="module")
def hub(world: World) -> Hub:
    return Hub.open(world.hub)


@pytest.fixture(scope="module")
def known(hub: Hub) -> Known:
    return hub_world(hub, TRUTH)


def test_texts_come_first_and_know_their_logits(hub: Hub, known: Known) -> None:
    assert known.known.names[:5] == NAMES[:5]
    assert set(known.known.names[5:]) == set(NAMES[5:])
    table = hub_table(hub)
    for place, query in enumerate(TRUTH):
        columns = np.flatnonzero(known.known.answers[place])
        assert {table.name(column) for column in columns.tolist()} == query.correct
    assert not known.known.answers[5:].any()


def test_labels_are_known_where_models_publish_them(hub: Hub, known: Known) -> None:
    table = hub_table(hub)
    for column, (label, place) in enumerate(zip(table.labels, known.known.concept, strict=True)):
        assert (label is None) == (place < 0)
        assert label is None or known.known.names[place] == label
        called = [known.known.names[row] for row in np.flatnonzero(known.known.called[:, column])]
        assert called == ([] if label is None else [label])
        model, logit = table.name(column)
        firm = hub.label_trust.level(model, logit) >= FIRMLY
        assert known.known.published[column] == (place if firm else -1)


def test_its_searches_see_what_the_hub_sees(hub: Hub, known: Known) -> None:
    whole, absent = draw_trials(known, np.arange(7), [0], (None,), 0)
    assert whole.right[:2].all()
    assert absent.logits < whole.logits
    table, ranked = hub_table(hub), hub.search(NAMES[0], top=10, behaviour_only=True)
    first = {table.name(column) for column in whole.columns[whole.right].tolist()}
    assert first == planted(NAMES[0])
    assert first == {(h.model, h.logit) for h in ranked.hits[: len(first)]}
    assert ranked.coverage == pytest.approx(whole.features.probe_coverage, rel=1e-3)
    believed = shipped_calibrator().hit(hit_features(whole.features))
    told = {(hit.model, hit.logit): hit.confidence for hit in ranked.hits}
    for column, confidence in zip(whole.columns.tolist(), believed.tolist(), strict=True):
        if table.name(column) in told:
            assert told[table.name(column)] == pytest.approx(confidence, abs=0.1)


def test_truth_of_other_models_is_refused(hub: Hub) -> None:
    with pytest.raises(UsageError, match="no answer of the 1 queries is a logit of this hub"):
        hub_world(hub, [TruthQuery("red", "colour", frozenset({("elsewhere", 0)}))])
