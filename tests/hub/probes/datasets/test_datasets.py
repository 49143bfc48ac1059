"""Probes from a dataset of the hub (a stub of it): a sample, its licence, and what goes wrong."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import colour_world
from command_line import lagotto
from hub_stub import Faults, Repository, StubHub
from lagotto.core.errors import LagottoError, ProbeError, SourceError, UsageError
from lagotto.core.progress import Silent
from lagotto.core.remote.spec import parse_dataset
from lagotto.hub.hub import Hub
from lagotto.hub.probes.datasets import prepare
from lagotto.hub.probes.datasets.fetch import fetch_dataset
from lagotto.hub.probes.datasets.partial_file import PartialFile

ROWS = 24
GROUP = 4
NAME = "hf:datasets/org/photos"


def png(number: int) -> bytes:
    stream = io.BytesIO()
    colour = colour_world.NAMES[number % len(colour_world.NAMES)]
    colour_world.picture(colour, number).save(stream, "PNG")
    return stream.getvalue()


def parquet(first: int = 0, rows: int = ROWS, column: str = "image") -> bytes:
    """Rows of pictures and captions, and a heavy column that nobody asked for."""
    table = pa.table(
        {
            column: [{"bytes": png(n), "path": f"{n:04d}.png"} for n in range(first, first + rows)],
            "caption": [f"picture {n}" for n in range(first, first + rows)],
            "latent": [bytes([n % 251]) * 40_000 for n in range(first, first + rows)],
        }
    )
    stream = io.BytesIO()
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(table, stream, row_group_size=GROUP, **options)
    return stream.getvalue()


def dataset(files: dict[str, bytes], licence: str = "cc0-1.0", fault: str = "") -> Repository:
    return Repository({"README.md": b"#", **files}, licence=licence, fault=fault)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photos(stub: StubHub) -> StubHub:
    files = {
        f"data/train-{number:05d}-of-00003.parquet": parquet(number * ROWS) for number in range(3)
    }
    files["data/test-00000-of-00001.parquet"] = parquet(900)
    stub.repositories["datasets/org/photos"] = dataset(files)
    return stub


def names(spec: str, count: int, seed: int = 0) -> list[str]:
    sample = fetch_dataset(spec, count, seed, Silent())
    return [item.source for item in sample.candidates()]


def test_a_hub_is_made_of_a_sample(photos: StubHub, tmp_path: Path) -> None:
    world = colour_world.write_encoder(tmp_path / "encoder")
    hub = Hub.create(tmp_path / "hub", NAME, str(world), max_probes=12)
    assert len(hub.probes) == 12
    commit = photos.repositories["datasets/org/photos"].commit
    assert all(
        probe.source.startswith(f"{NAME}@{commit}/data/train-") and probe.captions
        for probe in hub.probes
    )
    (facts,) = hub.reader.probe_set.datasets()
    assert (facts.source, facts.commit, facts.licence) == (NAME, commit, "cc0-1.0")
    assert hub.verify() == ()
    total = sum(len(data) for data in photos.repositories["datasets/org/photos"].files.values())
    assert facts.bytes < total / 4
    again = Hub.create(tmp_path / "again", f"{NAME}@{commit}", str(world), max_probes=12)
    assert again.probe_digest == hub.probe_digest
    assert again.reader.probe_set.datasets()[0].bytes == 0
    other = Hub.create(tmp_path / "other", NAME, str(world), max_probes=12, seed=1)
    assert other.probe_digest != hub.probe_digest


def test_only_row_groups_of_the_sample_are_transferred(photos: StubHub) -> None:
    sample = fetch_dataset(NAME, 8, 0, Silent())
    assert 8 <= sample.facts.rows <= 12
    served = sum(photos.bytes.values())
    assert sample.facts.bytes <= served <= sample.facts.bytes + 1000
    assert sum(1 for _ in sample.candidates()) == sample.facts.rows
    picture = next(iter(sample.candidates())).load()
    assert picture[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("spec", "start"),
    [(f"{NAME}:test", 900), (f"{NAME}:default/test", 900), (f"{NAME}:train", 0)],
)
def test_a_split_is_chosen(photos: StubHub, spec: str, start: int) -> None:
    assert all(int(name[-8:-4]) >= start for name in names(spec, 4))
    assert all((int(name[-8:-4]) >= 900) == (start == 900) for name in names(spec, 4))


def test_the_converted_branch_serves_where_there_is_no_parquet(stub: StubHub) -> None:
    made = dataset({"photos.zip": b"zip" * 99})
    made.branches["refs/convert/parquet"] = Repository({"default/train/0000.parquet": parquet()})
    stub.repositories["datasets/org/photos"] = made
    assert len(names(f"{NAME}:default/train", 6)) >= 6


def test_tars_of_webdataset_are_read(stub: StubHub, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number in range(5):
            for name, data in ((f"{number}.png", png(number)), (f"{number}.txt", b"a thing")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    stub.repositories["datasets/org/photos"] = dataset({"00000.tar": stream.getvalue()})
    sample = fetch_dataset(NAME, 3, 0, Silent())
    found = list(sample.candidates())
    assert [item.captions for item in found] == [("a thing",)] * 5
    assert found[2].load() == png(2)
    assert fetch_dataset(NAME, 3, 0, Silent()).facts.bytes == 0
    local = tmp_path / "shard.tar"
    local.write_bytes(stream.getvalue())
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    assert len(Hub.create(tmp_path / "hub", local, str(encoder)).probes) == 5


def test_a_run_that_was_cut_off_goes_on_and_damage_is_fetched_again(
    photos: StubHub, cache: Path
) -> None:
    whole = fetch_dataset(NAME, 12, 0, Silent())
    file = whole.files[0].path
    listed = json.loads(file.with_name(f"{file.name}.ranges.json").read_text())["ranges"]
    place = max(int(text.partition("-")[0]) for text in listed)
    with file.open("r+b") as stream:
        stream.seek(place)
        stream.write(b"damage")
    again = fetch_dataset(NAME, 12, 0, Silent())
    assert 0 < again.facts.bytes < whole.facts.bytes
    assert [i.load() for i in again.candidates()] == [i.load() for i in whole.candidates()]
    file.with_name(f"{file.name}.ranges.json").write_text("[")
    assert fetch_dataset(NAME, 12, 0, Silent()).facts.bytes > again.facts.bytes
    assert all(cache in path.parents for path in (item.path for item in again.files))


def test_a_busy_hub_is_asked_again(photos: StubHub) -> None:
    photos.faults = Faults(first={".parquet": ["limit", "busy", "cut"], "/api/": ["limit"]})
    assert len(names(NAME, 4)) >= 4
    assert sum(photos.struck.values()) == 4


def test_bad_datasets(stub: StubHub, tmp_path: Path) -> None:
    repositories = {
        "gated": dataset({"a.parquet": parquet()}, fault="gated"),
        "zips": dataset({"a.zip": b"zip"}),
        "none": dataset({"a.parquet": parquet()}, licence=""),
        "other": dataset({"a.parquet": parquet()}, licence="other"),
        "texts": dataset({"a.parquet": _texts()}),
        "torn": dataset({"a.parquet": b"PAR1" + b"x" * 999}),
        "one": dataset({"a.parquet": _repeated()}),
    }
    stub.repositories |= {f"datasets/org/{name}": made for name, made in repositories.items()}

    def refusal(name: str, error: type[LagottoError], words: str) -> None:
        with pytest.raises(error, match=words):
            fetch_dataset(f"hf:datasets/org/{name}", 4, 0, Silent())

    refusal("gated", SourceError, "is gated: accept its terms")
    refusal("gone", SourceError, "is not on the hub, or private")
    refusal("zips", SourceError, "neither .parquet files nor .tar shards")
    refusal("none", UsageError, "states no licence.*add --accept")
    refusal("other", UsageError, "the licence 'other'")
    refusal("texts", ProbeError, "org/texts: a.parquet has no column of pictures")
    refusal("torn", SourceError, "no whole parquet file")
    refusal("zips:no/such", SourceError, "neither")
    refusal("none:dev", SourceError, "no such configuration or split; its files are: a.parquet")
    assert fetch_dataset("hf:datasets/org/none", 4, 0, Silent(), accept=True).facts.licence == ""
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    with pytest.raises(ProbeError, match=r"only 1 can be used.*2 different pictures"):
        Hub.create(tmp_path / "hub", "hf:datasets/org/one", str(encoder))
    for wrong in ("hf:datasets/", "hf:datasets/a/b/c", "hf:datasets/a/b:", "hf:datasets/a/b@"):
        with pytest.raises(UsageError, match="names no dataset"):
            parse_dataset(wrong)


def test_too_small_a_disk_is_told_before(photos: StubHub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    with pytest.raises(SourceError, match="are free; free some, take fewer"):
        fetch_dataset(NAME, 4, 0, Silent())


def test_room_for_the_whole_sample_is_asked_for_before_a_picture_is_transferred(
    photos: StubHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fetch_dataset(NAME, 12, 0, Silent()).facts.bytes
    shutil.rmtree(cache)
    usage = shutil.disk_usage("/")

    def transferred_with(free: int) -> int:
        photos.bytes.clear()
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
        with pytest.raises(SourceError, match="MB more are needed"):
            fetch_dataset(NAME, 12, 0, Silent())
        return photos.bytes.total()

    footers = transferred_with(0)  # they say where the pictures are
    assert 0 < footers < whole
    assert transferred_with(whole - footers - 1) == 0


def test_a_hub_that_stays_busy_is_no_missing_network(
    photos: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "DEFAULT_PROBES", NAME)
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    photos.faults = Faults(first={"/api/datasets": ["limit"] * 99})
    create = ("hub", "create", tmp_path / "hub", "--encoder", encoder, "--quiet")
    lagotto(*create).refused(1, "the default probes are not to be had", "busy (HTTP 429)", "later")
    photos.faults = Faults(first={".parquet": ["limit"] * 99})
    lagotto(*create).refused(1, "the default probes are not to be had", "busy (HTTP 429)")
    assert not (tmp_path / "hub").exists()
    photos.faults = Faults(first={"/api/": ["limit"] * 99})
    told = lagotto("hub", "create", tmp_path / "hub", "--encoder", "clip")
    assert "cannot be fetched: the hub is busy" in told.err


def test_a_default_that_is_gone_says_what_to_give_instead(
    photos: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "DEFAULT_PROBES", "hf:datasets/org/gone")
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    lagotto("hub", "create", tmp_path / "hub", "--encoder", encoder).refused(
        1, "org/gone is not on the hub", "or the bundled ones (--probes bundled)"
    )


def test_without_a_network_the_bundled_pictures_stand_in(
    photos: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    create = ("hub", "create", tmp_path / "hub", "--encoder", encoder, "--max-probes", "5")
    answer = lagotto(*create)
    assert answer.code == 0, answer.err
    assert "the hub does not answer, so the bundled pictures are taken" in answer.err
    assert (tmp_path / "hub" / "hub.json").exists()


def test_without_a_network_a_dataset_says_what_is_cached_and_what_to_give_instead(
    photos: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_dataset(NAME, 4, 0, Silent())
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    create = ("hub", "create", tmp_path / "hub", "--probes", NAME, "--encoder", "bundled")
    lagotto(*create, "--quiet").refused(
        1, "the hub does not answer", "(parts of org/photos are in", "--probes bundled"
    )
    assert not (tmp_path / "hub").exists()


def test_a_mistyped_encoder_is_told_before_a_picture_is_transferred(
    photos: StubHub, tmp_path: Path
) -> None:
    create = ("hub", "create", tmp_path / "hub", "--probes", NAME, "--encoder", "siglop")
    lagotto(*create, "--quiet").refused(2, "Did you mean 'siglip'?")
    assert not photos.bytes


@pytest.mark.parametrize("command", ["hub create", "probes make", "probes check"])
def test_a_gated_encoder_is_told_before_a_picture_is_transferred(
    photos: StubHub, tmp_path: Path, command: str
) -> None:
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    files = {path.name: path.read_bytes() for path in encoder.iterdir()}
    photos.repositories["org/clip"] = dataset(files, fault="gated")
    made: tuple[str | Path, ...] = (tmp_path / "made", "--probes", NAME)
    if command == "probes make":
        made = (tmp_path / "made", "--from", NAME)
    if command == "probes check":
        made = (NAME,)
    told = lagotto(*command.split(), *made, "--encoder", "hf:org/clip", "--quiet")
    told.refused(1, "org/clip@", "is gated: accept its terms on its page, then log in")
    assert not photos.bytes
    assert not (tmp_path / "made").exists()


def test_without_options_the_default_encoder_and_probes_are_fetched_once(
    photos: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "DEFAULT_PROBES", NAME)
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    files = {path.name: path.read_bytes() for path in encoder.iterdir()}
    for ending in ("vision_model", "text_model"):
        files[f"onnx/{ending}.onnx"] = files.pop(f"{ending}.onnx")
        files[f"onnx/{ending}_fp16.onnx"] = files[f"onnx/{ending}.onnx"]
    siglip = Repository(files, licence="apache-2.0")
    photos.repositories["Xenova/siglip-base-patch16-224"] = siglip
    answer = lagotto("hub", "create", tmp_path / "hub")
    assert answer.code == 0, answer.err
    assert "72 probes" in answer.out
    assert "encoder Xenova/siglip-base-patch16-224" in answer.out  # and not the commit's folder
    assert f"@{siglip.commit}: " in answer.err
    assert "licence apache-2.0" in answer.err
    assert "licence cc0-1.0" in answer.err
    served = photos.served.copy()
    assert not any(name.endswith("_fp16.onnx") for name in served)
    again = lagotto("hub", "create", tmp_path / "again", "--json").json
    assert photos.served == served
    assert again["datasets"][0]["licence"] == "cc0-1.0"
    listed = {item["name"]: item for item in lagotto("encoders", "--json").json["encoders"]}
    assert listed["siglip"]["cached_commit"] == siglip.commit
    assert listed["clip"]["cached_commit"] is None
    half = Hub.create(tmp_path / "half", NAME, "siglip#fp16", max_probes=6)
    assert half.reader._manifest.encoder_spec.endswith(f"@{siglip.commit}#fp16")
    assert Hub.open(tmp_path / "half").encoder.info.dim == half.encoder.info.dim
    with pytest.raises(SourceError, match="no graphs of precision 'q4'; it has fp16"):
        Hub.create(tmp_path / "q4", NAME, "siglip#q4", max_probes=6)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = lagotto("hub", "create", tmp_path / "offline", "--max-probes", "20")
    assert offline.code == 0, offline.err
    assert "the bundled pictures are taken" in offline.err
    pinned = f"hf:Xenova/siglip-base-patch16-224@{siglip.commit}"
    bundled = ("hub", "create", tmp_path / "pinned", "--probes", "bundled", "--max-probes", "4")
    told = lagotto(*bundled, "--encoder", pinned)
    assert "in the cache\n" in told.err  # which knows no licences, so none is denied
    lagotto("hub", "create", tmp_path / "x", "--encoder", "clip").refused(
        1, "not in the local cache (which has: siglip)", "hf download Xenova/clip-vit-base-patch32"
    )


def test_a_dataset_beside_a_folder_gives_its_share(
    photos: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "DATASET_SAMPLE", 7)
    pictures = colour_world.write_pictures(tmp_path / "mine", 1, 5_000)
    encoder = colour_world.write_encoder(tmp_path / "encoder")
    hub = Hub.create(tmp_path / "hub", [pictures, NAME], str(encoder))
    assert len(hub.probes) == 8 + 7
    assert hub.grow(f"{NAME}:test", max_probes=3).probes == 18
    assert [facts.source for facts in hub.reader.probe_set.datasets()] == [NAME, f"{NAME}:test"]


def test_a_range_that_is_not_written_is_not_listed(tmp_path: Path) -> None:
    def broken(first: int, stop: int) -> bytes:
        raise SourceError("gone")

    file = PartialFile(tmp_path / "file", 100, lambda first, stop: bytes(stop - first))
    file.fill([(0, 10)])
    with pytest.raises(SourceError):
        PartialFile(tmp_path / "file", 100, broken).fill([(0, 10), (20, 30)])
    assert json.loads((tmp_path / "file.ranges.json").read_text())["ranges"].keys() == {"0-10"}


def _texts() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["a", "b"]}), stream)
    return stream.getvalue()


def _repeated() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"image": [png(1)] * 9}), stream)
    return stream.getvalue()
