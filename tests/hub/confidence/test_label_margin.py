"""The labels of hits as rivals: which are scored, and what they say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import colour_world
from colour_world import MODELS, World, set_verdicts
from lagotto.hub.confidence.calibrator import shipped_calibrator
from lagotto.hub.confidence.judge import Judge, JudgedHits
from lagotto.hub.confidence.label_margin import HitLabels, LabelStats
from lagotto.hub.confidence.margin import fitted_scores, hit_context
from lagotto.hub.confidence.reference import measure_names
from lagotto.hub.hub import Hub
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.query.probe_weights import text_weights
from lagotto.hub.store.records import AuditRecord, LabelListRecord

LABELLED = {name: model for name, model in MODELS.items() if model.labelled}


@pytest.fixture
def hub(world: World) -> Hub:
    return Hub.open(world.hub)


def trust(verdicts: dict[str, str]) -> LabelTrust:
    """Trust in the lists of the world by some verdicts; the other lists are contradicted."""
    return LabelTrust(
        [
            LabelListRecord(
                name, "", "", len(model.colours), True,
                AuditRecord("", verdicts.get(name, "contradicted")),
            )
            for name, model in LABELLED.items()
        ]
    )  # fmt: skip


def with_verdicts(folder: Path, verdicts: dict[str, str]) -> Hub:
    """A hub whose lists were audited with these verdicts; the other lists are contradicted."""
    set_verdicts(folder, dict.fromkeys(LABELLED, "contradicted") | verdicts)
    return Hub.open(folder)


def ask(
    hub: Hub, trust: LabelTrust, text: str, hits: list[tuple[str, int]], seen_as: str = ""
) -> HitLabels:
    judge = hub.judge()
    assert isinstance(judge, Judge)
    columns = np.array([judge.logit_index.column(*hit) for hit in hits])
    prompt = hub.encoder.info.prompt_template.replace("{}", seen_as or text)
    concept = hub.encoder.embed_texts([prompt])[0]
    seen = hit_context(
        judge.background,
        concept,
        judge.logit_index.blended(columns),
        judge.logit_index.directions(columns),
    )
    labels = LabelStats(hub.reader, judge.logit_index, judge.background, trust)
    found = labels.score_labels(text, concept, columns, seen)
    again = labels.score_labels(text, concept, columns, seen)
    np.testing.assert_array_equal(found.rival_scores, again.rival_scores)
    return found


def test_only_labels_of_lists_that_fit_are_rivals(hub: Hub) -> None:
    hits = [("plain", 0), ("opencv", 1), ("nameless", 0), ("bytes", 2)]
    found = ask(hub, trust({"plain": "fits", "opencv": "cannot be judged"}), "cyan", hits)
    assert found.believed.tolist() == [True, False, False, False]
    assert np.isfinite(found.rival_scores).tolist() == [True, False, False, False]


def test_a_label_scores_on_its_own_logit_as_a_query_would(hub: Hub) -> None:
    hits = [("plain", 0), ("plain", 1), ("plain", 2)]
    found = ask(hub, trust({"plain": "fits"}), "green", hits)
    assert found.believed.all()
    assert found.rival_scores[1] == -np.inf
    judge = hub.judge()
    assert judge is not None
    template = hub.encoder.info.prompt_template
    names = hub.encoder.embed_texts([template.replace("{}", name) for name in ("red", "blue")])
    measured = measure_names(judge.background, names, text_weights(hub.reader.space, names))
    columns = np.array([judge.logit_index.column(*hit) for hit in hits])
    raised, directions = judge.logit_index.blended(columns), judge.logit_index.directions(columns)
    seen = hit_context(judge.background, names[0], raised, directions)
    scores = fitted_scores(judge.background, measured, seen)
    np.testing.assert_allclose(found.rival_scores[[0, 2]], [scores[0, 0], scores[1, 2]], atol=1e-4)


def test_a_label_that_says_the_words_is_no_rival_whatever_the_prompt(hub: Hub) -> None:
    found = ask(hub, trust({"plain": "fits"}), "Reds", [("plain", 0), ("plain", 1)], "cyan")
    assert np.isfinite(found.rival_scores).tolist() == [False, True]


def test_a_search_by_behaviour_alone_reads_no_label(hub_copy: Path) -> None:
    alone = [
        with_verdicts(hub_copy, verdicts).search("cyan", top=20, behaviour_only=True)
        for verdicts in ({}, dict.fromkeys(LABELLED, "fits"))
    ]
    assert alone[0] == alone[1]
    assert Hub.open(hub_copy).search("cyan", top=20) != alone[1]


def test_believed_labels_of_others_make_a_search_less_sure(hub_copy: Path) -> None:
    doubted = with_verdicts(hub_copy, {}).search("red", top=20)
    believed = with_verdicts(hub_copy, dict.fromkeys(LABELLED, "fits")).search("red", top=20)
    before = {(hit.model, hit.logit): hit.confidence for hit in doubted.hits}
    others = [hit for hit in believed.hits if hit.label not in (None, "red")]
    pairs = np.array([(before[hit.model, hit.logit], hit.confidence) for hit in others])
    assert pairs[:, 0].max() > 0.1
    assert (pairs[:, 1] <= pairs[:, 0] + 1e-3).all()
    assert pairs[:, 1].sum() < 0.5 * pairs[:, 0].sum()
    unlabelled = [hit for hit in believed.hits if hit.label is None]
    assert unlabelled
    assert all(hit.confidence == before[hit.model, hit.logit] for hit in unlabelled)


def test_a_claim_of_an_unjudged_list_is_believed_as_far_as_such_claims_are_right(
    hub_copy: Path,
) -> None:
    """No output of the model answers "red", and one is published under that name."""
    names = ("a", "b", "Reds")
    odd = colour_world.Classifier(("white", "blue", "green"), edge=10, names=names)
    models = hub_copy.parent / "odd"
    colour_world.write_classifier(models, odd)
    Hub.open(hub_copy).add([models])
    claim, ceiling = shipped_calibrator().claim, shipped_calibrator().labelled_hit.ceiling
    assert 0.3 < claim < ceiling
    for verdict, confidence in (("cannot be judged", claim), ("fits", ceiling)):
        hub = with_verdicts(hub_copy, {"odd": verdict})
        hits = {(hit.model, hit.logit): hit for hit in hub.search("red", top=30).hits}
        assert hits["odd", 2].confidence == confidence
        alone = hub.search("red", top=30, behaviour_only=True)
        (same,) = [hit for hit in alone.hits if (hit.model, hit.logit) == ("odd", 2)]
        assert same.confidence < claim
    doubted = with_verdicts(hub_copy, {"odd": "contradicted"}).search("red", top=30)
    (same,) = [hit for hit in doubted.hits if (hit.model, hit.logit) == ("odd", 2)]
    assert same.confidence < claim


def test_a_claim_without_a_bonus_is_not_believed(hub_copy: Path) -> None:
    """As one that behaviour contradicts, which gets no bonus."""
    hub = with_verdicts(hub_copy, dict.fromkeys(LABELLED, "cannot be judged"))
    plain = hub.judge()
    assert plain is not None
    judge = replace(
        plain, labels=LabelStats(hub.reader, plain.logit_index, plain.background, hub.label_trust)
    )
    concept = hub.query_vector("green").concepts[0]
    hits = np.array([judge.logit_index.column("plain", 1), judge.logit_index.column("plain", 0)])
    sure, doubted = (
        judge.judge(concept, JudgedHits(hits, hits, np.full(4, bonus))) for bonus in (True, False)
    )
    claimed = replace(judge, calibrator=replace(judge.calibrator, claim=0.99))
    believed, contradicted = (
        claimed.judge(concept, JudgedHits(hits, hits, np.full(4, bonus))) for bonus in (True, False)
    )
    assert sure is not None
    assert doubted is not None
    assert believed is not None
    assert believed.confidence[0] == 0.99
    assert believed.concept_probability >= 0.99
    assert contradicted is not None
    np.testing.assert_array_equal(contradicted.confidence, doubted.confidence)
    assert contradicted.concept_probability == doubted.concept_probability < 0.99
    np.testing.assert_array_equal(sure.confidence[1:], doubted.confidence[1:])
    np.testing.assert_array_equal(believed.confidence[1:], doubted.confidence[1:])


def test_a_hit_that_is_believed_to_be_called_so_is_sure(hub_copy: Path) -> None:
    ceiling = shipped_calibrator().labelled_hit.ceiling
    hub = with_verdicts(hub_copy, {"plain": "fits", "symmetric": "cannot be judged"})
    found = hub.search("red", top=20)
    sure = {(hit.model, hit.label) for hit in found.hits if hit.confidence == ceiling}
    assert sure == {("plain", "red")}
    assert found.presence == ceiling
    alone = hub.search("red", top=20, behaviour_only=True)
    assert all(hit.confidence < ceiling for hit in alone.hits)
    assert alone.presence is not None
    assert alone.presence < ceiling
    doubted = with_verdicts(hub_copy, {})
    assert all(hit.confidence < ceiling for hit in doubted.search("red", top=20).hits)
