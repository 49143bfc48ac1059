"""The reference model of the demo, in a hub of three of its models on some of its probes."""

from pathlib import Path

from lagotto.core.progress import Silent
from lagotto.demo import bundled
from lagotto.demo.taught import REFERENCE, SOUGHT, search_by_reference
from lagotto.hub.hub import Hub

MODELS = (REFERENCE, "baseline_old", "lr1e3_long")


def test_the_labels_of_one_model_find_the_outputs_of_others(tmp_path: Path) -> None:
    encoder = str(bundled.DEMO_ENCODER)
    hub = Hub.create(tmp_path / "hub", bundled.PROBES, encoder, max_probes=300)
    hub.add([bundled.MODELS / name for name in MODELS])
    copy = tmp_path / "copy"
    (tmp_path / "copy.part").mkdir()  # what a run that was killed left
    taught = search_by_reference(hub, copy, Silent())
    classes = bundled.read_classes()
    others = {concept for name in MODELS[1:] for concept in classes[name]}
    assert taught.concepts == 20
    assert taught.behaviour < taught.through == len(others & set(classes[REFERENCE]))
    (hit,) = taught.search
    assert hit.model != REFERENCE
    assert classes[hit.model][hit.logit] == SOUGHT
    assert hit.through is not None
    assert (hit.through.model, hit.through.label) == (REFERENCE, SOUGHT)
    assert hub.status().references == ()  # the demo's own hub answers as before
    with Hub.open(copy) as opened:
        assert opened.status().references == (REFERENCE,)
    assert not (tmp_path / "copy.part").exists()
    assert search_by_reference(hub, copy, Silent()) == taught
