"""Hubs that are merged: the result is the hub of all their models, made at once."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogue_rows import catalogue_rows
from colour_world import World
from command_line import lagotto
from lagotto.core.errors import HubError, MismatchError, UsageError
from lagotto.core.progress import Silent
from lagotto.encoders.base import Encoder
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.merging import fold, merge
from lagotto.hub.prepare import prepare_searches
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.manifest import read_hub_manifest, write_hub_manifest
from lagotto.hub.store.references import read_references, record_references
from lagotto.hub.store.responses import (
    ResponsesHeader,
    SeenProbes,
    read_responses,
    write_responses,
)
from made_hubs import MadeModel, fill, fill_shard

ENCODERS: dict[Path, Encoder] = {}
LABELS = ("red", "green", "blue")


def encoder_of(world: World) -> Encoder:
    if world.empty_hub not in ENCODERS:
        ENCODERS[world.empty_hub] = Hub.open(world.empty_hub).encoder
    return ENCODERS[world.empty_hub]


def empty(world: World, folder: Path) -> Hub:
    return Hub.open(shutil.copytree(world.empty_hub, folder), encoder_of(world))


def ready(hub: Hub) -> Hub:
    prepare_searches(hub.reader, Silent(), audit_all=False)
    return hub


def held(hub: Path) -> dict[str, object]:
    """What a hub of given models has, however it came to be."""
    files = {path.name: path.read_bytes() for path in (hub / "responses").iterdir()}
    with Catalog(HubLayout(hub).catalogue) as catalogue:
        references = read_references(catalogue)
    return {"files": files, "rows": catalogue_rows(hub), "references": references}


def answers(hub: Path, encoder: Encoder) -> list[str]:
    """What searches say, with all digits."""
    with Hub.open(hub, encoder) as opened:
        found = [opened.search(text, top=50) for text in ("red", "a blue thing")]
    return [replace(hits, hub="", elapsed_s=None).to_json() for hits in found]


def stop(*_: object) -> None:
    raise SystemExit


MODELS = st.lists(
    st.builds(
        MadeModel,
        number=st.integers(0, 11),
        name=st.sampled_from(("a", "b", "c", "d", "e")),
        source=st.just(""),
        seen=st.just(None),
        reference=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def with_kinds(models: list[MadeModel]) -> list[MadeModel]:
    """One kind a number, so that copies are alike: failed, partly probed, labelled or plain."""
    made = []
    for place, model in enumerate(models):
        kind = model.number % 4
        labels = LABELS if kind in (0, 3) else None
        made.append(
            replace(
                model,
                source=f"/m{place}.onnx",
                fails=kind == 1,
                seen=40 if kind == 2 else None,
                labels=labels,
                reference=model.number % 8 == 3,
            )
        )
    return made


@settings(
    deadline=None,
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(MODELS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_shards_of_a_list_become_the_hub_of_the_list(
    world: World, tmp_path_factory: pytest.TempPathFactory, models: list[MadeModel], of: int, chance
) -> None:
    folder, models = tmp_path_factory.mktemp("merge"), with_kinds(models)
    once = empty(world, folder / "once")
    fill(once, models)
    ready(once)
    owners = [chance.randrange(of) for _ in models]
    parts = []
    for number in range(of):
        part = empty(world, folder / f"part{number}")
        chosen = [place for place, owner in enumerate(owners) if owner == number]
        fill_shard(part, models, chosen, f"{number + 1}/{of}")
        parts.append(part.folder)
    chance.shuffle(parts)
    hub = empty(world, folder / "hub")
    if chance.random() < 0.5:  # a run that ends before it has made the descriptors
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(merge, "rebuild_blocks", stop)
            with pytest.raises(SystemExit):
                hub.merge(parts)
    report = hub.merge(parts)
    assert report.missing_shards == report.unfinished == report.notes == ()
    assert held(hub.folder) == held(once.folder)
    assert hub.verify() == ()
    if any(not model.fails for model in models):
        assert answers(hub.folder, encoder_of(world)) == answers(once.folder, encoder_of(world))


@pytest.fixture
def parts(world: World, tmp_path: Path) -> list[Path]:
    """Three shards of a list of nine models, of which two fail."""
    models = with_kinds([MadeModel(n, f"m{n}", "") for n in range(9)])
    folders = []
    for index in range(3):
        hub = empty(world, tmp_path / f"part{index + 1}")
        fill_shard(hub, models, [*range(index, 9, 3)], f"{index + 1}/3")
        folders.append(hub.folder)
    return folders


@pytest.fixture
def hub(world: World, tmp_path: Path) -> Hub:
    return empty(world, tmp_path / "hub")


def test_a_missing_shard_is_named_until_it_is_merged(parts: list[Path], hub: Hub) -> None:
    report = hub.merge(parts[:2])
    assert (report.added, report.missing_shards) == (5, ("3/3",))
    report = hub.merge(parts[2])
    assert (report.added, report.already, report.missing_shards) == (2, 0, ())
    again = hub.merge(parts)
    assert (again.added, again.already, len(again.failures)) == (0, 7, 2)


def test_a_model_that_failed_in_one_part_and_not_in_another_is_taken(
    world: World, tmp_path: Path, hub: Hub
) -> None:
    model = MadeModel(2, "m", "/m.onnx")
    one, other = empty(world, tmp_path / "one"), empty(world, tmp_path / "other")
    fill(one, [replace(model, fails=True)])
    fill(other, [model])
    report = hub.merge([one.folder, other.folder])
    assert (report.added, report.failures, hub.models) == (1, (), ("m",))


def test_probes_that_a_model_saw_in_different_hubs_are_joined(
    world: World, tmp_path: Path, hub: Hub
) -> None:
    model = MadeModel(2, "m", "/m.onnx")
    one, other = empty(world, tmp_path / "one"), empty(world, tmp_path / "other")
    fill(one, [replace(model, seen=30)])
    fill(other, [replace(model, seen=50)])
    path = HubLayout(other.folder).responses_of(model.digest)
    wanted = path.read_bytes()
    assert hub.merge([one.folder]).added == 1
    assert hub.merge([other.folder]).extended == 1
    assert HubLayout(hub.folder).responses_of(model.digest).read_bytes() == wanted
    fill(fresh := empty(world, tmp_path / "fresh"), [model])
    assert hub.merge([fresh.folder]).extended == 1
    assert read_responses(HubLayout(hub.folder).responses_of(model.digest)).is_full
    assert (hub.merge([one.folder]).extended, hub.verify()) == (0, ())


def test_answers_on_unlike_probes_are_joined_row_by_row(tmp_path: Path) -> None:
    found = []
    for name, seen, value in (("a", [1, 4], 1.0), ("b", [0, 4, 7], 2.0)):
        path = tmp_path / f"{name}.safetensors"
        values = np.full((len(seen), 2), value, np.float32)
        header = ResponsesHeader("d", "p", "onnx", "raw")
        write_responses(path, values, header, SeenProbes(np.array(seen), 9))
        found.append((path, read_responses(path)))
    target = tmp_path / "c.safetensors"
    folded = fold.place_responses(found, target)
    assert folded is not None
    assert folded.probes_seen == 4
    joined = read_responses(target)
    assert joined.seen_probes.tolist() == [0, 1, 4, 7]
    assert joined.values[:, 0].tolist() == [2.0, 1.0, 1.0, 2.0]


def test_a_damaged_file_is_a_failure_that_names_it(parts: list[Path], hub: Hub) -> None:
    path = next((parts[0] / "responses").iterdir())
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    report = hub.merge(parts)
    assert report.added == 6
    (reason,) = [f.reason for f in report.failures if "cannot be used" in f.reason]
    assert str(parts[0]) in reason
    assert hub.verify() == ()


def test_an_altered_label_is_not_taken_over(parts: list[Path], hub: Hub) -> None:
    with Catalog(HubLayout(parts[0]).catalogue, writable=True) as catalogue:
        altered = catalogue.models("done")[0]
        values = ("purple", altered.position)
        catalogue.run("UPDATE logits SET label = ? WHERE model = ? AND logit = 0", values)
    report = hub.merge(parts)
    assert report.added == 6
    (reason,) = [f.reason for f in report.failures if "cannot be used" in f.reason]
    assert f"{parts[0]}: its record in catalogue.sqlite was altered" in reason


def test_an_altered_reference_is_not_taken_over(parts: list[Path], hub: Hub) -> None:
    with Catalog(HubLayout(parts[0]).catalogue, writable=True) as catalogue:
        record_references(catalogue, [catalogue.models("done")[0].name])
        catalogue.run("UPDATE model_references SET record_sha256 = 'x'")
    with pytest.raises(HubError, match="is a reference was altered; see: lagotto hub verify"):
        hub.merge(parts)
    assert len(hub) == 0


def test_models_that_were_never_probed_stay_to_be_probed(
    parts: list[Path], hub: Hub, world: World
) -> None:
    with Catalog(HubLayout(parts[1]).catalogue, writable=True) as catalogue:
        lost = catalogue.models("done")[0]
        catalogue.record_lost(lost.digest)
    assert hub.merge(parts).unfinished == (lost.name,)
    assert "1 models were never probed" in lagotto("hub", "merge", hub.folder, *parts).out


def test_other_probes_and_other_encoders_are_refused_and_named(
    world: World, tmp_path: Path, hub: Hub, parts: list[Path]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(world.pictures.iterdir())[:5]:
        shutil.copy(path, few)
    other = Hub.create(tmp_path / "other", few, str(world.encoder))
    before = held(hub.folder)
    with pytest.raises(MismatchError, match=rf"{hub.folder} has probe set .*{other.folder}"):
        hub.merge([parts[0], other.folder])
    manifest = json.loads((parts[1] / "hub.json").read_text())
    changed = replace(read_hub_manifest(parts[1]), encoder_fingerprint="0" * 64)
    write_hub_manifest(parts[1], changed)
    with pytest.raises(MismatchError, match=f"encoder {manifest['encoder_name']}"):
        hub.merge(parts)
    assert held(hub.folder) == before


def test_what_is_no_other_hub_is_refused(hub: Hub, tmp_path: Path, parts: list[Path]) -> None:
    with pytest.raises(UsageError, match="is the hub itself"):
        hub.merge([parts[0], hub.folder])
    with pytest.raises(HubError, match=r"no .*hub"):
        hub.merge([tmp_path / "nothing"])
    with hub_lock(parts[0]), pytest.raises(HubError, match="another process is writing"):
        hub.merge(parts)


def test_a_full_disk_leaves_what_was_there(
    parts: list[Path], hub: Hub, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.merge(parts[:1])
    before = answers(hub.folder, encoder_of(world))
    segments = sorted(path.name for path in (hub.folder / "blocks").iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fold, "link_or_copy", full)
        with pytest.raises(HubError, match="No space left"):
            hub.merge(parts)
    assert sorted(path.name for path in (hub.folder / "blocks").iterdir()) == segments
    assert answers(hub.folder, encoder_of(world)) == before
    assert hub.verify() == ()
    assert hub.merge(parts).added == 4
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(hub.folder)
        patch.setattr(merge.shutil, "disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(HubError, match="are free"):
            hub.merge(parts)


def test_a_disk_without_links_is_copied_to(
    parts: list[Path], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "no links")

    monkeypatch.setattr(os, "link", refuse)
    assert hub.merge(parts).added == 7
    assert hub.verify() == ()
    assert {p.stat().st_nlink for p in (hub.folder / "responses").iterdir()} == {1}


def test_the_command_makes_the_hub_and_prints_one_object(parts: list[Path], tmp_path: Path) -> None:
    answer = lagotto("hub", "merge", tmp_path / "new", *parts, "--json").json
    assert (answer["added"], answer["missing_shards"], len(answer["failures"])) == (7, [], 2)
    assert set(answer) == {
        *("hub", "parts", "added", "extended", "already", "copies", "failures", "unfinished"),
        *("missing_shards", "files", "not_read", "notes"),
    }
    assert (
        "0 models added, 7 already there" in lagotto("hub", "merge", tmp_path / "new", *parts).out
    )
