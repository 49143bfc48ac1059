"""The labels of hits as rivals: which are asked, and what they say."""

from collections.abc import Collection

import numpy as np
import pytest

from colour_world import MODELS, World
from lagotto.core.progress import Progress, Silent
from lagotto.hub.confidence.calibrator import shipped_calibrator
from lagotto.hub.confidence.judge import Judge
from lagotto.hub.confidence.label_margin import LabelStats, OwnLabels
from lagotto.hub.confidence.margin import fitted_scores, seen_logits
from lagotto.hub.confidence.reference import measure_names
from lagotto.hub.hub import Hub
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.query.probe_weights import text_weights
from lagotto.hub.text.matching import FIRMLY, OPENLY


class Trust(LabelTrust):
    """Believes the lists of some models, and remembers which were audited."""

    def __init__(self, levels: dict[str, float]) -> None:
        self.levels = levels
        self.audited: set[str] = set()

    def check(self, models: Collection[str], progress: Progress) -> None:
        self.audited.update(models)

    def believed(self, model: str) -> np.ndarray:
        assert model in self.audited
        return np.full(len(MODELS[model].colours), self.levels.get(model, 0.0), np.float32)


@pytest.fixture
def hub(world: World) -> Hub:
    return Hub.open(world.hub)


def ask(
    hub: Hub, trust: Trust, text: str, hits: list[tuple[str, int]], seen_as: str = ""
) -> OwnLabels:
    judge = hub.judge()
    assert isinstance(judge, Judge)
    hub.__dict__["label_trust"] = trust
    columns = np.array([judge.logit_index.column(*hit) for hit in hits])
    prompt = hub.encoder.info.prompt_template.replace("{}", seen_as or text)
    concept = hub.encoder.embed_texts([prompt])[0]
    seen = seen_logits(
        judge.rivals,
        concept,
        judge.logit_index.blended(columns),
        judge.logit_index.directions(columns),
    )
    rivals = LabelStats(hub, judge.logit_index, judge.rivals, hub.label_trust)
    found = rivals.ask(text, concept, columns, seen, Silent())
    again = rivals.ask(text, concept, columns, seen, Silent())
    np.testing.assert_array_equal(found.levels, again.levels)
    return found


def test_only_lists_that_fit_are_asked_and_only_of_the_hits_models(hub: Hub) -> None:
    trust = Trust({"plain": FIRMLY, "opencv": OPENLY})
    hits = [("plain", 0), ("opencv", 1), ("nameless", 0), ("bytes", 2)]
    found = ask(hub, trust, "cyan", hits)
    assert found.believed.tolist() == [True, False, False, False]
    assert np.isfinite(found.levels).tolist() == [True, False, False, False]
    assert trust.audited == {"plain", "opencv", "bytes"}


def test_a_label_scores_on_its_own_logit_as_a_query_would(hub: Hub) -> None:
    hits = [("plain", 0), ("plain", 1), ("plain", 2)]
    found = ask(hub, Trust({"plain": FIRMLY}), "green", hits)
    assert found.believed.all()
    assert found.levels[1] == -np.inf
    judge = hub.judge()
    assert judge is not None
    template = hub.encoder.info.prompt_template
    names = hub.encoder.embed_texts([template.replace("{}", name) for name in ("red", "blue")])
    measured = measure_names(judge.rivals, names, text_weights(hub.space, names))
    columns = np.array([judge.logit_index.column(*hit) for hit in hits])
    raised, directions = judge.logit_index.blended(columns), judge.logit_index.directions(columns)
    seen = seen_logits(judge.rivals, names[0], raised, directions)
    scores = fitted_scores(judge.rivals, measured, seen)
    np.testing.assert_allclose(found.levels[[0, 2]], [scores[0, 0], scores[1, 2]], atol=1e-4)


def test_a_label_that_says_the_words_is_no_rival_whatever_the_prompt(hub: Hub) -> None:
    found = ask(hub, Trust({"plain": FIRMLY}), "Reds", [("plain", 0), ("plain", 1)], "cyan")
    assert np.isfinite(found.levels).tolist() == [False, True]


def test_a_search_without_names_asks_no_label(hub: Hub) -> None:
    hub.__dict__["label_trust"] = Trust({})
    hub.search("cyan", behaviour_only=True)
    assert not hub.label_trust.audited  # type: ignore[attr-defined]
    hub.search("cyan")
    assert hub.label_trust.audited  # type: ignore[attr-defined]


def test_believed_labels_of_others_make_a_search_less_sure(hub: Hub) -> None:
    others = {name: FIRMLY for name, model in MODELS.items() if model.labelled}
    hub.__dict__["label_trust"] = Trust({})
    doubted = hub.search("red", top=20)
    hub = Hub.open(hub.folder)
    hub.__dict__["label_trust"] = Trust(others)
    believed = hub.search("red", top=20)
    before = {(hit.model, hit.logit): hit.confidence for hit in doubted.hits}
    wrong = [hit for hit in believed.hits if hit.label not in (None, "red")]
    assert wrong
    assert all(hit.confidence <= before[hit.model, hit.logit] + 0.05 for hit in wrong)


def test_a_hit_that_is_believed_to_be_called_so_is_sure(hub: Hub) -> None:
    ceiling = shipped_calibrator().named_hit.ceiling
    hub.__dict__["label_trust"] = Trust({"plain": FIRMLY, "symmetric": OPENLY})
    found = hub.search("red", top=20)
    sure = {(hit.model, hit.label) for hit in found.hits if hit.confidence == ceiling}
    assert sure == {("plain", "red")}
    assert found.presence == ceiling
    alone = hub.search("red", top=20, behaviour_only=True)
    assert all(hit.confidence < ceiling for hit in alone.hits)
    assert alone.presence is not None
    assert alone.presence < ceiling
    wrong = Hub.open(hub.folder)
    wrong.__dict__["label_trust"] = Trust({})
    assert all(hit.confidence < ceiling for hit in wrong.search("red", top=20).hits)
