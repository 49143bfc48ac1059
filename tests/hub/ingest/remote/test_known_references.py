"""`hub create --reference`: a default reference is offered, fetched at its commit, and teaches."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import colour_world
from colour_world import TRAINED, World
from command_line import lagotto
from hub_stub import Repository, running
from lagotto.core.errors import ModelError
from lagotto.hub.hub import Hub
from lagotto.hub.ingest import known_references
from lagotto.hub.ingest.known_references import (
    DEFAULT_REFERENCE,
    KNOWN_REFERENCES,
    reference_spec,
)

TEACHER = TRAINED["all_eight"]


def exported(labelled: bool = True) -> Repository:
    """The labelled model of all colours, as an ONNX export in the layout of the hub."""
    edge = colour_world.EDGE
    config = {"id2label": dict(enumerate(TEACHER.colours))} if labelled else {}
    pictures = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": edge, "width": edge},
        "do_normalize": False,
    }
    files = {
        "config.json": json.dumps(config).encode(),
        "preprocessor_config.json": json.dumps(pictures).encode(),
        "onnx/model.onnx": colour_world.classifier_bytes(TEACHER),
        "onnx/model_quantized.onnx": b"never fetched" * 99,
    }
    return Repository(files, licence="apache-2.0")


def test_every_row_is_pinned_small_and_free() -> None:
    assert DEFAULT_REFERENCE in KNOWN_REFERENCES
    for name, known in KNOWN_REFERENCES.items():
        assert known.name == name
        assert len(known.commit) == 40
        assert set(known.commit) <= set("0123456789abcdef")
        assert known.megabytes <= 100
        assert known.licence in ("apache-2.0", "mit")
        assert reference_spec(name) == f"hf:{known.repository}@{known.commit}"
    assert reference_spec("models/mine.onnx") == "models/mine.onnx"


def test_the_default_reference_is_offered_fetched_and_teaches(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    made = exported()
    known = replace(KNOWN_REFERENCES["resnet18"], commit=made.commit)
    monkeypatch.setitem(known_references.KNOWN_REFERENCES, "resnet18", known)
    arguments = ("--probes", world.pictures, "--encoder", world.encoder)
    with running({known.repository: made}) as stub:
        monkeypatch.setenv("HF_ENDPOINT", stub.endpoint)
        plain = lagotto("hub", "create", tmp_path / "plain", *arguments)
        assert f"lagotto hub add {tmp_path / 'plain'} {known.spec} --reference (47 MB" in plain.err
        assert "its card states no licence, that of microsoft/resnet-18" in plain.err
        assert not stub.requests
        answer = lagotto("hub", "create", tmp_path / "hub", *arguments, "--reference", "resnet18")
        assert answer.code == 0, answer.err
        told = f"{known.spec}: 47 MB, 1,000 labels; its card states no licence, that of microsoft/"
        said = f"reference {told}resnet-18, which it exports, says apache-2.0"
        assert answer.err.startswith(said)  # before anything is fetched
        assert "reference Xenova/resnet-18: its labels teach the others" in answer.out
        assert "--reference" not in answer.err
        assert not any("quantized" in name for name in stub.served)
        again = lagotto("hub", "add", tmp_path / "plain", known.spec, "--reference")
        assert f"reference {told}" in again.err
        assert f"reference {told}" not in lagotto("hub", "add", tmp_path / "plain", known.spec).err
    hub = Hub.open(tmp_path / "hub")
    assert hub.status().references == ("Xenova/resnet-18",)
    assert hub.status().models[0].source == known.spec
    nameless = colour_world.write_classifier(tmp_path / "nameless", TRAINED["all_nameless"])
    hub.add(nameless.parent)
    first = hub.search("cyan", top=1)[0]
    assert TRAINED["all_nameless"].colours[first.logit] == "cyan"
    assert first.through is not None
    assert first.through.model == "Xenova/resnet-18"


def test_a_reference_that_is_not_to_be_had_says_what_is_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    arguments = ("--probes", world.pictures, "--encoder", world.encoder)
    hub = tmp_path / "hub"
    lagotto("hub", "create", hub, *arguments, "--reference", "resnet81").refused(
        2, "no such file or folder", "one of resnet18"
    )
    assert not hub.exists()
    with running({"org/nameless": exported(labelled=False)}) as stub:
        monkeypatch.setenv("HF_ENDPOINT", stub.endpoint)
        lagotto("hub", "create", hub, *arguments, "--reference", "hf:org/nameless").refused(
            1, f"{hub} is made, but has no reference", "no reference without a label"
        )
        with pytest.raises(ModelError, match="no reference without a label"):
            Hub.open(hub).add_reference("hf:org/nameless")
    assert Hub.open(hub).models == ()
    own = colour_world.write_classifier(tmp_path / "own", TRAINED["three"]).parent
    answer = lagotto("hub", "create", tmp_path / "b", *arguments, "--reference", own, "--json")
    assert answer.json["references"] == ["own"]
