"""What `lagotto` gives to its users: hubs, searches and stores as Python objects."""

import base64
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import caption_makers
import lagotto
from colour_world import MODELS, World, shared_world
from command_line import lagotto as command
from lagotto.core import errors
from lagotto.core.arguments.extras import load_extra
from lagotto.core.results.html import SmallPicture
from lagotto.core.results.thumbnails import MAX_THUMBNAIL_BYTES
from lagotto.encoders.registry import load_encoder
from lagotto.hub.reports.notebook import MAX_PROBES_SHOWN

NASTY = "<script>alert('&')</script>\"'"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


@pytest.fixture
def hub(world: World) -> lagotto.Hub:
    return lagotto.Hub.open(world.hub)


def hits(count: int = 3, **fields: object) -> lagotto.Hits:
    found = tuple(
        lagotto.Hit(n + 1, f"model{n}", n, NASTY if n else None, 1.5 * n, 0.9) for n in range(count)
    )
    return lagotto.Hits(lagotto.Query("text", "dog"), 5, found, (4, 2), **fields)  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------- exports


def test_every_error_is_exported() -> None:
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.LagottoError):
            assert getattr(lagotto, name) is value


def test_every_result_that_a_hub_gives_is_exported() -> None:
    names = {
        *("Hit", "Hits", "Query", "Prediction", "ModelVote", "RetrievedCaption", "ModelAudit"),
        *("ModelDescription", "ModelCoverage", "AddReport", "Inspection", "IndexReport"),
        *("DuplicateReport", "HubStatus", "Damage", "IntakeReport", "SearchOptions", "Limits"),
        *("TextQuery", "ImageQuery", "LogitQuery", "CaptionStore", "Classifier", "HubVoice"),
        *("load_encoder", "load_model"),
    }
    assert names <= set(lagotto.__all__)


def test_a_hub_shows_its_users_what_they_need_and_no_more() -> None:
    shown = {name for name in dir(lagotto.Hub) if not name.startswith("_")}
    assert shown == {
        *("create", "open", "close", "folder", "reader", "models", "probes", "probe_picture"),
        *("encoder", "encoder_name", "probe_digest", "responses", "labels", "status", "verify"),
        *("add", "inspect", "remove", "search", "nearest", "query_vector", "build_index"),
        *("remove_index", "describe", "audit", "audit_labels", "duplicates", "cover"),
        *("label_trust", "label_embeddings", "judge", "skipped", "read"),
        *("grow", "check_probes"),
        *("compact", "add_reference", "create_like", "merge"),
        *("name", "fetched_bytes", "origin_notes"),
    }


# ----------------------------------------------------------------------------------------- hits


def test_hits_are_a_sequence() -> None:
    found = hits()
    assert isinstance(found, Sequence)
    assert len(found) == 3
    assert list(found) == list(found.hits)
    assert found[0] is found.hits[0]
    assert found[-1] is found.hits[2]
    assert found.hits[1] in found
    assert lagotto.Hit(9, "other", 0, None, 0.0, 0.0) not in found
    assert found.index(found.hits[2]) == 2
    part = found[1:]
    assert isinstance(part, lagotto.Hits)
    assert part.hits == found.hits[1:]
    assert (part.query, part.deciding_probes) == (found.query, found.deciding_probes)
    with pytest.raises(IndexError):
        found[3]
    assert not hits(0)


def test_hits_compare_hash_and_pickle_without_what_they_were_made_by() -> None:
    found = hits(hub="here", elapsed_s=1.0, probe_pictures=lambda probes: ())
    assert found == hits()
    assert hash(found) == hash(hits())
    copy = pickle.loads(pickle.dumps(found))
    assert (copy, copy.hub, copy.elapsed_s) == (found, "here", 1.0)
    assert copy.probe_pictures is None


def test_json_is_what_the_command_line_prints(world: World, hub: lagotto.Hub) -> None:
    for words, query in (
        (["white"], "white"),
        (["--logit", "plain:0"], lagotto.LogitQuery("plain", 0)),
    ):
        printed = command("search", world.hub, *words, "--json").out
        assert printed.endswith("}\n")
        text = hub.search(query).to_json()
        timed = re.compile(r'"elapsed_s": [0-9.e-]+')
        assert timed.sub("", text) == timed.sub("", printed.rstrip("\n"))
        assert json.loads(text) == hub.search(query).as_json() | {
            "elapsed_s": json.loads(text)["elapsed_s"]
        }
    assert "\\u001b" in lagotto.Hits(lagotto.Query("text", "\x1b[31m"), 1, (), ()).to_json()


def test_a_data_frame_has_a_row_a_hit() -> None:
    pytest.importorskip("pandas")
    frame = hits().to_dataframe()
    assert list(frame.columns) == [
        *("rank", "model", "logit", "label", "distance", "score"),
        *("confidence", "quality", "p_value", "through"),
    ]
    assert frame["model"].tolist() == ["model0", "model1", "model2"]
    assert list(hits(0).to_dataframe().columns) == list(frame.columns)


def test_a_missing_package_names_its_pip_line() -> None:
    with pytest.raises(lagotto.MissingExtraError) as caught:
        load_extra("no_such_package", "pandas", "Hits.to_dataframe()")
    assert str(caught.value) == (
        "Hits.to_dataframe() needs the package 'no_such_package', which is not installed; "
        "run: pip install 'lagotto[pandas]'"
    )


def test_the_status_in_a_notebook_shows_kind_and_architecture(hub: lagotto.Hub) -> None:
    status = hub.status()
    detector = replace(status.models[0], kind="detector", architecture="yolov8n <b>")
    page = replace(status, models=(detector, *status.models[1:]))._repr_html_()
    assert page.count("<tr>") == 1 + status.done
    for cell in ("kind", "architecture", "detector", "yolov8n &lt;b&gt;", "its own graph"):
        assert f">{cell}</t" in page
    assert f"{status.done} models" in page


def test_hits_in_a_notebook_are_a_table_and_the_probes_that_decided(hub: lagotto.Hub) -> None:
    page = hub.search("red", top=2)._repr_html_()
    uris = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert 1 <= len(uris) <= MAX_PROBES_SHOWN
    for uri in uris:
        data = base64.b64decode(uri)
        assert data[:2] == b"\xff\xd8"
        assert len(data) <= MAX_THUMBNAIL_BYTES
    assert page.count("<tr>") == 3
    assert "_red.png" in page
    assert "confidence" in page


def test_what_strangers_wrote_is_escaped_in_a_notebook() -> None:
    found = hits(notes=(NASTY,), probe_pictures=lambda probes: [SmallPicture("data:x", NASTY)])
    page = found._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script") == 2 + 1 + 2  # two labels, a note, alt and title of a picture
    assert "img" not in hits()._repr_html_()


def test_hits_of_a_closed_hub_show_the_table_alone(hub: lagotto.Hub) -> None:
    found = hub.search("red", top=2)
    hub.close()
    page = found._repr_html_()
    assert page.count("<tr>") == 3
    assert "cannot be shown" in page
    assert "<img" not in page


def test_confidence_is_a_precision_or_nothing_and_chance_is_a_p_value(
    world: World, hub: lagotto.Hub
) -> None:
    for hit in hub.search("red"):
        assert hit.confidence is not None
        assert hit.quality is not None
        assert hit.p_value is None
    picture = next(world.pictures.glob("*_red.png"))
    for query in (lagotto.LogitQuery("plain", 0), picture, "red AND NOT blue"):
        found = hub.search(query, top=100)
        assert {hit.confidence for hit in found} == {None}
        assert {hit.quality for hit in found} == {None}
        p_values = [hit.p_value for hit in found]
        assert p_values == sorted(p_values)
        assert p_values[0] < 0.5 < p_values[-1] <= 1
    columns = command("search", world.hub, "--logit", "plain:0").out.splitlines()[0].split()
    assert columns == ["rank", "model", "logit", "label", "distance", "score", "p_value"]


# -------------------------------------------------------------------------------------- options


def test_options_are_one_value_or_keywords(hub: lagotto.Hub) -> None:
    options = lagotto.SearchOptions(top=4, rule="paper")
    assert hub.search("red", options) == hub.search("red", top=4, rule="paper")
    assert len(hub.search("red", options, top=2)) == 2
    vector = hub.query_vector("red")
    assert hub.nearest(vector, options) == hub.search("red", options)
    assert len(hub.search("red")) == lagotto.SearchOptions().top
    assert hash(options) == hash(lagotto.SearchOptions(top=4, rule="paper"))


def test_an_option_that_there_is_not_is_refused_with_a_suggestion(hub: lagotto.Hub) -> None:
    with pytest.raises(lagotto.UsageError) as caught:
        hub.search("red", tpo=3)  # type: ignore[call-arg]
    assert str(caught.value) == (
        "unknown option 'tpo'; known: top, k, by_model, rule, behaviour_only, low_rank, "
        "references, with_references. Did you mean 'top'?"
    )
    with pytest.raises(lagotto.UsageError, match="Did you mean 'paper'"):
        lagotto.SearchOptions(rule="papers")
    with pytest.raises(lagotto.UsageError, match="give 1 or more"):
        hub.search("red", top=0)


# ------------------------------------------------------------------------------------- the hub


def test_a_hub_says_what_it_is(world: World, hub: lagotto.Hub) -> None:
    assert hub.models == tuple(sorted(MODELS))
    assert len(hub) == 7
    assert "plain" in hub
    assert "plian" not in hub
    assert 3 not in hub
    assert repr(hub) == f"Hub({str(world.hub)!r}, 7 models, 72 probes, encoder encoder)"
    empty = lagotto.Hub.open(world.empty_hub)
    assert (len(empty), empty.models) == (0, ())


def test_a_closed_hub_says_so(world: World) -> None:
    with lagotto.Hub.open(world.hub) as hub:
        assert hub.search("red")
    assert repr(hub) == f"Hub({str(world.hub)!r}, closed)"
    hub.close()
    for use in (lambda: hub.search("red"), lambda: len(hub), lambda: hub.probes, hub.status):
        with pytest.raises(lagotto.UsageError, match="was closed; open it again"):
            use()


def test_one_path_or_many(world: World, tmp_path: Path) -> None:
    made = [
        lagotto.Hub.create(tmp_path / str(n), probes, str(world.encoder), max_probes=12)
        for n, probes in enumerate(
            (str(world.pictures), world.pictures, [str(world.pictures)], (world.pictures,))
        )
    ]
    assert len({hub.probe_digest for hub in made}) == 1
    plain, opencv = (str(world.models / name) for name in ("plain", "opencv"))
    assert made[0].add(plain).done == ("plain",)
    assert made[0].add({opencv, plain}).done == ("opencv",)
    assert made[1].add(Path(name) for name in (plain, opencv)).done == ("plain", "opencv")
    assert [found.model for found in made[2].inspect(plain)] == ["plain"]
    assert [found.model for found in made[2].inspect(iter([plain, opencv]))] == ["plain", "opencv"]
    assert made[0].models == ("plain", "opencv")


def test_one_example_picture_or_many(world: World, hub: lagotto.Hub) -> None:
    red, blue = sorted(world.pictures.glob("*_red.png"))[0], str(world.pictures / "002_blue.png")
    assert lagotto.ImageQuery(red) == lagotto.ImageQuery([str(red)])
    assert lagotto.ImageQuery(iter([red, blue])).files == (red, Path(blue))
    assert lagotto.TextQuery("red", pictures=str(red)).pictures == (red,)
    assert lagotto.TextQuery("red").pictures == ()
    assert hub.search(red) == hub.search(lagotto.ImageQuery((red,)))


def test_names_are_a_comma_list_a_file_or_a_list(hub: lagotto.Hub, tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("red\n\ngreen\nblue\n")
    listed = hub.cover(["red", "green", "blue"])
    assert hub.cover("red, green,blue") == listed
    assert hub.cover(str(file)) == hub.cover(file) == listed
    assert hub.cover(name for name in ("red", "green", "blue")) == listed
    assert hub.describe("plain", "red,green,blue") == hub.describe("plain", file)
    assert hub.audit("plain", "red,green,blue").verdict == hub.audit("plain").verdict
    assert hub.audit("plain", file).verdict == "wrong count"  # an empty line is an output's too
    with pytest.raises(lagotto.UsageError, match=r"gone\.txt"):
        hub.cover(tmp_path / "gone.txt")


def test_many_threads_get_the_answers_of_one(world: World) -> None:
    picture = next(world.pictures.glob("*_cyan.png"))
    queries: list[object] = ["red", "white", "blue AND NOT red", picture]
    queries += [lagotto.LogitQuery("plain", 1), "cyan", "yellow", "black"]

    def read(hub: lagotto.Hub, query: object) -> object:
        found = hub.search(query, top=6)  # type: ignore[arg-type]
        first = found[0].model
        labels, responses = hub.labels(first), hub.responses(first).tobytes()
        return found, labels, responses, hub.models, found._repr_html_()

    serial = [read(lagotto.Hub.open(world.hub), query) for query in queries]
    shared = lagotto.Hub.open(world.hub)  # nothing of it is loaded yet
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(lambda query: read(shared, query), queries)) == serial


class OneAtATime:
    """An encoder that fails where two threads call it at once."""

    def __init__(self, folder: Path) -> None:
        self._encoder = load_encoder(str(folder))
        self._busy = threading.Lock()

    @property
    def info(self) -> object:
        return self._encoder.info

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._alone(self._encoder.embed_pixels, pixels)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._alone(self._encoder.embed_texts, texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.token_counts(texts)

    def _alone(self, embed: object, given: object) -> np.ndarray:
        if not self._busy.acquire(blocking=False):
            raise AssertionError("two threads in one encoder")
        try:
            time.sleep(0.02)
            return embed(given)  # type: ignore[operator]
        finally:
            self._busy.release()


def test_the_encoder_of_a_hub_is_called_by_one_thread_at_a_time(world: World) -> None:
    hub = lagotto.Hub.open(world.hub, OneAtATime(world.encoder))  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: hub.search("red").hits, range(16)))
    assert len(set(found)) == 1


# ------------------------------------------------------------------------------ a caption store


def test_a_store_says_what_it_is_and_closes(tmp_path: Path) -> None:
    photos = caption_makers.write_jsonl_folder(tmp_path / "photos", 5)
    encoder = caption_makers.FakeEncoder()
    with lagotto.CaptionStore.create(tmp_path / "store", str(photos), encoder) as store:
        assert (len(store), store.pictures) == (10, 5)
        first = store.texts([0])[0]
        assert first in store
        assert first[:-1] not in store
        assert 7 not in store
        picture = photos / "images" / "0000.png"
        assert picture in store
        assert photos / "captions.jsonl" not in store
        assert tmp_path / "gone.png" not in store
        named = f"CaptionStore({str(tmp_path / 'store')!r}, 10 captions, 5 pictures, encoder "
        assert repr(store).startswith(named)
    assert repr(store).endswith("closed)")
    for use in (lambda: store.texts([0]), lambda: store.image_embeddings, lambda: store.encoder):
        with pytest.raises(lagotto.UsageError, match="was closed"):
            use()


def test_many_threads_read_one_store(tmp_path: Path) -> None:
    photos = caption_makers.write_jsonl_folder(tmp_path / "photos", 5)
    folder = lagotto.CaptionStore.create(
        tmp_path / "store", iter([photos]), caption_makers.FakeEncoder()
    ).folder
    store = lagotto.CaptionStore.open(folder, caption_makers.FakeEncoder())

    def read(number: int) -> tuple[object, ...]:
        return (
            store.texts([number]),
            store.text_embeddings[number].tolist(),
            store.owners([number]).tolist(),
            id(store.encoder),
        )

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(read, [*range(10)] * 8))
    assert rows == [read(number) for number in range(10)] * 8


# ------------------------------------------------------------------------------------ bad input

BAD = """
import sys, lagotto
from pathlib import Path
hub = lagotto.Hub.open(sys.argv[1])
labels = ["red", "blue"]
encoder = lagotto.load_encoder(sys.argv[2])
store = lagotto.CaptionStore
calls = {
    "add nothing": lambda: hub.add([]),
    "add an empty generator": lambda: hub.add(path for path in ()),
    "add None": lambda: hub.add(None),
    "add a number": lambda: hub.add(3),
    "add a dict": lambda: hub.add({"a": 1}),
    "add bytes": lambda: hub.add(b"models"),
    "add a number among paths": lambda: hub.add(["models", 3]),
    "add an empty path": lambda: hub.add(""),
    "inspect nothing": lambda: hub.inspect(()),
    "create of nothing": lambda: lagotto.Hub.create("new", [], encoder),
    "create at None": lambda: lagotto.Hub.create(None, "probes", encoder),
    "open a list": lambda: lagotto.Hub.open(["hub"]),
    "search a number": lambda: hub.search(3),
    "search a list of texts": lambda: hub.search(["red", "blue"]),
    "search with text as top": lambda: hub.search("red", top="5"),
    "search with a flag as k": lambda: hub.search("red", k=True),
    "search with text as by_model": lambda: hub.search("red", by_model="yes"),
    "search with another rule": lambda: hub.search("red", rule=None),
    "a query of nothing": lambda: lagotto.ImageQuery([]),
    "a query of a number": lambda: lagotto.TextQuery(3),
    "cover nothing": lambda: hub.cover([]),
    "cover a number": lambda: hub.cover(3),
    "cover numbers": lambda: hub.cover([1, 2]),
    "describe by nothing": lambda: hub.describe("plain", ""),
    "a store of nothing": lambda: store.create("new", [], encoder),
    "a store of a number": lambda: store.create("new", 3, encoder),
    "labels of a number": lambda: lagotto.Classifier(encoder, 3),
    "labels of numbers": lambda: lagotto.Classifier(encoder, [1, 2]),
    "labels of nothing": lambda: lagotto.Classifier(encoder, iter(())),
    "predict nothing": lambda: list(lagotto.Classifier(encoder, labels).predict([])),
    "predict a number": lambda: lagotto.Classifier(encoder, labels).predict(3),
    "predict numbers": lambda: list(lagotto.Classifier(encoder, labels).predict([3])),
}
for name, call in calls.items():
    try:
        call()
        print(name, "was accepted", sep="\\t")
    except Exception as error:
        print(name, type(error).__name__, error, sep="\\t")
assert not Path("new").exists()
"""


def test_bad_input_is_refused_in_one_line(world: World, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BAD, str(world.hub), str(world.encoder)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(lagotto.__file__).parents[1])},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = ended.stdout.splitlines()
    assert len(lines) == 32
    for line in lines:
        kind, said = (*line.split("\t"), "")[1:3]
        assert kind == "UsageError", line
        assert re.search(r"give |choose one of", said), line
    said = dict(line.split("\t", 2)[::2] for line in lines)
    assert said["add a number among paths"].startswith(
        "models: item 1 is the number 3; give a path"
    )
    assert said["add None"].startswith("models: None given; give a path")
    assert said["add nothing"].startswith("no models given; give a path")
