"""Two published ImageNet classifiers, probed with real photos, find each other's outputs."""

from pathlib import Path

import numpy as np
import pytest

from lagotto.evaluation.retrieval.truth import read_truth
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import ImageQuery, LogitQuery

pytestmark = pytest.mark.real
FIRST, SECOND = "coral-mobilenet-v1-025-128", "coral-mobilenet-v1-075-192"


@pytest.fixture(scope="module")
def hub(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """A hub of the two on 500 captioned photos."""
    photos = assets / "photos"
    probes = [photos / "flickr8k" / "captions.jsonl", photos / "coco" / "captions.jsonl"]
    encoder = str(assets / "encoder" / "photo-lit")
    made = Hub.create(tmp_path_factory.mktemp("real") / "hub", probes, encoder, max_probes=500)
    report = made.add([assets / "hub" / FIRST, assets / "hub" / SECOND])
    assert sorted(report.done) == [FIRST, SECOND]
    return made


def test_logits_are_read_before_the_softmax(hub: Hub) -> None:
    status = hub.status()
    assert {model.logits_source for model in status.models} == {"cut"}
    assert status.logits == 2002


def test_logit_to_logit(hub: Hub) -> None:
    asked = range(0, 1001, 20)
    right = 0
    for logit in asked:
        hits = hub.search(LogitQuery(SECOND, logit), top=100).hits
        first = next(hit for hit in hits if hit.model == FIRST)
        right += first.logit == logit
    assert right / len(asked) > 0.6


def test_text_to_logit_is_far_above_chance(hub: Hub, assets: Path) -> None:
    truth = [q for q in read_truth(assets / "hub" / "truth.json") if q.kind == "imagenet"][::10]
    right = sum(
        (hit.model, hit.logit) in query.correct
        for query in truth
        for hit in hub.search(query.text, top=1).hits
    )
    assert right / len(truth) > 0.1  # 0.195 with all probes and models; chance is 0.001


def test_pictures_of_cats_find_cats(hub: Hub, assets: Path) -> None:
    folder = assets / "photos" / "cats-dogs"
    lines = (folder / "labels.jsonl").read_text().splitlines()
    cats = [line for line in lines if '"cat"' in line][:5]
    files = tuple(folder / line.split('"image": "')[1].split('"')[0] for line in cats)
    labels = [hit.label or "" for hit in hub.search(ImageQuery(files), top=5).hits]
    assert any("cat" in label.lower() for label in labels), labels


def test_published_labels_fit_and_a_shifted_list_is_put_right(hub: Hub) -> None:
    labels = [label or "" for label in hub.labels(SECOND)]
    published = hub.audit(SECOND)
    assert published.verdict == "fits"
    shifted = hub.audit(SECOND, [*labels[1:], labels[0]])
    assert shifted.verdict == "another order fits"
    assert shifted.better_order == "shifted by +1"
    assert shifted.proposed == tuple(labels)
    assert shifted.score < 0 < published.score
    permuted = hub.audit(SECOND, np.random.default_rng(0).permutation(labels).tolist())
    assert permuted.score < published.score / 2
    assert permuted.verdict != "fits"


def test_anonymous_logits_are_named_far_above_chance(hub: Hub) -> None:
    truth = [(label or "").split(",")[0] for label in hub.labels(SECOND)]
    found = hub.describe(SECOND, truth[1:]).logits[1:]
    right = [each.proposals[0].name == name for each, name in zip(found, truth[1:], strict=True)]
    assert np.mean(right) > 0.15  # 0.4 with all probes; chance is 0.001


def test_the_two_are_of_one_kind_and_not_the_same(hub: Hub) -> None:
    found = hub.duplicates()
    assert found.duplicate_groups == ()
    assert found.related_groups == ((FIRST, SECOND),)
