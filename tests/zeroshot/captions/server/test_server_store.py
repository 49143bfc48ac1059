"""A caption store on a real PostgreSQL: its index, its lock, lost connections, refusals."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from caption_makers import FakeEncoder, write_jsonl_folder
from caption_world import CONCEPTS, WordEncoder
from command_line import Answer, lagotto
from lagotto.core.errors import CaptionError, LagottoError, MissingExtraError, UsageError
from lagotto.demo import bundled
from lagotto.zeroshot.captions.index import index_store, open_indexes
from lagotto.zeroshot.captions.index_record import recall_lines
from lagotto.zeroshot.captions.search import search_text
from lagotto.zeroshot.captions.storage.places import storage_at
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.nearest import search_of
from postgres_server import RealServer

pytestmark = pytest.mark.xdist_group("postgres")

SECRET = "s3cret-Word"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_jsonl_folder(tmp_path / "photos", 5)


@pytest.fixture
def store(postgres: RealServer, photos: Path) -> CaptionStore:
    return CaptionStore.create(postgres.address(), photos, FakeEncoder())


def one_line(error: LagottoError, *words: str) -> None:
    assert "\n" not in str(error)
    assert "Traceback" not in str(error)
    for word in words:
        assert word in str(error), (word, str(error))


# ------------------------------------------------------------------------------------- the index


def test_recall_is_measured_kept_and_said(postgres: RealServer, tmp_path: Path) -> None:
    encoder = WordEncoder()
    (tmp_path / "texts.txt").write_text("\n".join(f"{a} {b}" for a in CONCEPTS for b in CONCEPTS))
    store = CaptionStore.create(postgres.address(), tmp_path / "texts.txt", encoder)
    record = store.content.index_record()
    assert record is not None
    assert (record.adapter, record.store) == ("pgvector", store.digest)
    assert (record.captions.rows, record.captions.recall.at) == (900, 16)
    assert record.captions.recall.sampled == 200
    assert record.captions.recall.share is not None
    assert record.captions.recall.share > 0.95
    assert record.captions.bytes > 0
    assert recall_lines(record)[1].startswith("900 captions, recall@16 ")
    notes = "\n".join(ZeroShotClassifier(encoder, CONCEPTS, store).notes)
    assert "searched on the server: 0 pictures; 900 captions, recall@16 " in notes
    assert index_store(store) == (record, False)


def test_the_index_is_asked_and_the_scan_only_where_it_finds_too_little(
    postgres: RealServer, tmp_path: Path
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(f"{a} {b}" for a in CONCEPTS for b in CONCEPTS))
    store = CaptionStore.create(postgres.address(), tmp_path / "texts.txt", WordEncoder())
    plan = postgres.run(
        "SET search_path TO public",
        "SET enable_seqscan = off",
        "EXPLAIN SELECT number FROM lagotto_captions.captions ORDER BY embedding <#> "
        "(SELECT embedding FROM lagotto_captions.captions WHERE number = 3) LIMIT 20",
    )
    assert "captions_nearest" in str(plan)
    postgres.run("DROP INDEX lagotto_captions.captions_nearest")
    queries = WordEncoder().embed_texts(list(CONCEPTS[:5]))
    reopened = CaptionStore.open(store.name, WordEncoder())
    before = search_of(store, "captions").search(queries, 16)
    after = search_of(reopened, "captions").search(queries, 16)
    np.testing.assert_allclose(before[1], after[1], atol=2e-6)
    assert reopened.add(tmp_path / "texts.txt").index is not None
    built = postgres.run("SELECT indexname FROM pg_indexes WHERE schemaname = 'lagotto_captions'")
    assert ("captions_nearest",) in built


def test_rows_of_a_later_run_are_not_seen_before_the_store_is_opened_again(
    store: CaptionStore, tmp_path: Path
) -> None:
    (tmp_path / "more.txt").write_text("\n".join(f"more {number}" for number in range(50)))
    CaptionStore.open(store.name, FakeEncoder()).add(tmp_path / "more.txt")
    assert max(item.index for item in search_text(store, "more 7", 10).captions) < 10
    again = CaptionStore.open(store.name, FakeEncoder())
    assert search_text(again, "more 7", 1).captions[0].text == "more 7"


def test_recall_is_measured_again_when_the_store_has_grown_by_a_tenth(
    store: CaptionStore, tmp_path: Path
) -> None:
    def measured_after(count: int) -> int:
        (tmp_path / "more.txt").write_text("\n".join(f"more {each}" for each in range(count)))
        report = CaptionStore.open(store.name, FakeEncoder()).add(tmp_path / "more.txt")
        assert report.index is not None
        return report.index.captions.rows

    assert measured_after(50) == 60  # an index of captions without a picture is built
    assert measured_after(51) == 60
    assert measured_after(90) == 100
    assert measured_after(91) == 100
    record, built = index_store(CaptionStore.open(store.name))
    assert (record.captions.rows, built) == (101, True)


def test_approximate_is_refused_since_the_server_has_an_index(store: CaptionStore) -> None:
    with pytest.raises(UsageError, match="leave out --approximate"):
        open_indexes(store)


# ------------------------------------------------------------------------------ several stores


def test_stores_of_one_database_are_independent(postgres: RealServer, photos: Path) -> None:
    first = CaptionStore.create(postgres.address("one"), photos, FakeEncoder())
    CaptionStore.begin(postgres.address("two"), FakeEncoder("other"))
    with storage_at(postgres.address("two")).write():
        assert first.add(photos).folded == 10
    assert CaptionStore.open(postgres.address("one")).captions == 10
    assert CaptionStore.open(postgres.address("two")).captions == 0


def test_the_second_writer_is_told_who_is_first(store: CaptionStore, photos: Path) -> None:
    with storage_at(store.name).write(), pytest.raises(CaptionError) as error:
        store.add(photos)
    one_line(error.value, "another process is writing", "lagotto ", "as user postgres", "process ")


# --------------------------------------------------------------------------- lost connections


def test_a_lost_connection_is_opened_again_for_reading(
    store: CaptionStore, postgres: RealServer
) -> None:
    before = store.texts(range(10))
    postgres.drop_clients()
    assert store.texts(range(10)) == before
    postgres.drop_clients()
    assert search_text(store, before[4], 1).captions[0].index == 4


def test_a_server_that_is_gone_is_one_line_after_a_few_tries(
    store: CaptionStore, postgres: RealServer
) -> None:
    postgres.run(f"ALTER DATABASE {postgres.database} ALLOW_CONNECTIONS false", database="postgres")
    postgres.drop_clients("postgres")
    try:
        with pytest.raises(CaptionError) as error:
            store.texts([0])
        one_line(error.value, "the connection to caption store", "was lost", store.name)
        with pytest.raises(CaptionError) as error:
            CaptionStore.open(store.name)
        one_line(error.value, "cannot reach the server", store.name)
    finally:
        postgres.run(
            f"ALTER DATABASE {postgres.database} ALLOW_CONNECTIONS true", database="postgres"
        )
    assert store.texts([0])


def test_a_server_that_goes_in_mid_run_leaves_whole_shards(
    postgres: RealServer, tmp_path: Path
) -> None:
    source = write_jsonl_folder(tmp_path / "many", 9, 3)

    class Dropping(FakeEncoder):
        """Loses every connection at its second batch of pictures."""

        def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
            rows = super().embed_pixels(pixels)
            if self.pictures:
                postgres.drop_clients()
            return rows

    address = postgres.address()
    with pytest.raises(CaptionError) as error:
        CaptionStore.create(address, source, Dropping())
    one_line(error.value, "was lost", "captions add")
    assert CaptionStore.open(address).captions == 0
    assert CaptionStore.open(address, FakeEncoder()).add(source).captions == 27
    assert not CaptionStore.open(address).verify()


def test_rows_that_the_server_refuses_leave_the_store_as_it_was(
    store: CaptionStore, tmp_path: Path
) -> None:
    """pgvector takes no NaN, and says so after the line of the log and the pictures are sent."""

    class Broken(FakeEncoder):
        def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
            rows = super().embed_texts(texts)
            rows[[text == "broken" for text in texts]] = np.nan
            return rows

    (tmp_path / "more.txt").write_text("whole\nbroken\n")
    with pytest.raises(CaptionError) as error:
        CaptionStore.open(store.name, Broken()).add(tmp_path / "more.txt")
    one_line(error.value, "the server refused", "NaN")
    again = CaptionStore.open(store.name)
    assert (again.captions, again.digest, again.verify()) == (10, store.digest, [])


# ------------------------------------------------------------------------------------- refusals


def test_no_such_database_and_no_server(postgres: RealServer) -> None:
    for address, word in (
        (f"postgresql://postgres@/none?host={postgres.socket}", "none"),
        ("postgresql://postgres@127.0.0.1:1/p", "127.0.0.1"),
    ):
        with pytest.raises(CaptionError) as error:
            CaptionStore.open(address)
        one_line(error.value, "cannot reach the server of caption store postgresql://", word)


def test_what_libpq_cannot_read_is_not_repeated(postgres: RealServer) -> None:
    with pytest.raises(UsageError) as error:
        CaptionStore.open(f"postgresql://me:{SECRET}@db/p?no_such_option=1")
    one_line(error.value, "cannot be read by libpq", "postgresql://me@db/p")
    assert SECRET not in str(error.value)


def test_no_store_and_a_schema_that_is_none(postgres: RealServer) -> None:
    with pytest.raises(CaptionError) as error:
        CaptionStore.open(postgres.address("none"))
    one_line(error.value, "no caption store at postgresql://", "lagotto captions create")
    postgres.run("CREATE SCHEMA lagotto_mine")
    with pytest.raises(UsageError) as refused:
        CaptionStore.begin(postgres.address("mine"), FakeEncoder())
    one_line(refused.value, "lagotto_mine", "no caption store", "?store=NAME")


def test_no_pgvector_is_said_with_the_remedy(postgres: RealServer) -> None:
    """A database without it, and a user who may not add it."""
    postgres.run("CREATE DATABASE bare", database="postgres")
    try:
        postgres.run("CREATE ROLE plain LOGIN", "GRANT CREATE ON DATABASE bare TO plain")
        bare = f"postgresql://plain@/bare?host={postgres.socket}"
        with pytest.raises(CaptionError) as error:
            CaptionStore.begin(bare, FakeEncoder())
        one_line(error.value, "has no pgvector", "CREATE EXTENSION vector")
    finally:
        postgres.run("DROP DATABASE bare", database="postgres")
        postgres.run("DROP ROLE plain")


def test_no_right_to_create_and_none_to_read(
    postgres: RealServer, store: CaptionStore, tmp_path: Path
) -> None:
    postgres.run("CREATE ROLE reader LOGIN")
    try:
        with pytest.raises(CaptionError) as error:
            CaptionStore.begin(postgres.address("other", "reader"), FakeEncoder())
        one_line(error.value, "the server refused", "permission denied", "GRANT")
        with pytest.raises(CaptionError) as error:
            CaptionStore.open(postgres.address(user="reader"))
        one_line(error.value, "permission denied", "USAGE on its schema")
        postgres.run(
            "GRANT USAGE ON SCHEMA lagotto_captions TO reader",
            "GRANT SELECT ON ALL TABLES IN SCHEMA lagotto_captions TO reader",
        )
        reading = CaptionStore.open(postgres.address(user="reader"), FakeEncoder())
        assert search_text(reading, store.texts([3])[0], 1).captions[0].index == 3
        (tmp_path / "more.txt").write_text("one more\n")
        with pytest.raises(CaptionError, match="permission denied"):
            reading.add(tmp_path / "more.txt")
    finally:
        postgres.run("DROP OWNED BY reader", "DROP ROLE reader")


def test_a_newer_version_and_an_altered_manifest(store: CaptionStore, postgres: RealServer) -> None:
    ((content,),) = postgres.run("SELECT content FROM lagotto_captions.manifest")
    for change, words in (
        ({"version": 2}, ("version 2", "reads up to 1", "pip install --upgrade lagotto")),
        ({"dim": 9}, ("was altered",)),
        ({"format": "x"}, ("not a caption store",)),
    ):
        altered = json.dumps(content | change).replace("'", "''")
        postgres.run(f"UPDATE lagotto_captions.manifest SET content = '{altered}'")
        with pytest.raises(CaptionError) as error:
            CaptionStore.open(store.name)
        one_line(error.value, *words)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {}.captions SET text = 'other' WHERE number = 4",
        "UPDATE {}.captions SET source = 'other' WHERE number = 4",
        "UPDATE {}.captions SET picture = NULL WHERE number = 9",
        "UPDATE {}.captions SET embedding = (SELECT embedding FROM {}.captions WHERE number = 1) "
        "WHERE number = 4",
        "UPDATE {}.pictures SET end_caption = 11 WHERE number = 4",
        "DELETE FROM {}.captions WHERE number = 9",
    ],
)
def test_verify_finds_what_was_altered(
    store: CaptionStore, postgres: RealServer, change: str
) -> None:
    assert store.verify() == []
    postgres.run(change.replace("{}", "lagotto_captions"))
    (line,) = store.verify()
    assert line.startswith("shard 1 (pictures 0 to 5, captions 0 to 10) was altered")


def test_a_damaged_log_does_not_open(store: CaptionStore, postgres: RealServer) -> None:
    postgres.run("UPDATE lagotto_captions.shards SET line = replace(line, '10', '11')")
    with pytest.raises(CaptionError) as error:
        CaptionStore.open(store.name)
    one_line(error.value, "was altered", "line 1 of its log")
    assert "line 1 of the log is damaged" in storage_at(store.name).verify()[0]


@pytest.mark.parametrize("package", ["psycopg", "pgvector"])
def test_a_missing_extra_is_its_pip_line(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as error:
        CaptionStore.open("postgresql://db/p")
    one_line(error.value, "a caption store on a server needs", "pip install 'lagotto[postgres]'")


def test_a_store_on_a_server_has_a_name_and_no_folder(store: CaptionStore) -> None:
    with pytest.raises(UsageError, match="lies on a server and has no folder"):
        _ = store.folder
    lagotto("captions", "repair", store.name).refused(2, "there is nothing to repair")


# ------------------------------------------------------------------------------ the command line


def told(answer: Answer) -> str:
    assert answer.code == 0, answer
    return answer.out + answer.err


def test_commands_and_no_password_anywhere(
    postgres: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    lines = []
    for picture in bundled.read_heldout()[:6]:
        (photos / picture.name).write_bytes(picture.data)
        lines.append(json.dumps({"image": picture.name, "caption": f"a {picture.label}"}))
    (photos / "captions.jsonl").write_text("\n".join(lines))
    (tmp_path / "texts.txt").write_text("a dog in the snow\n")
    encoder = str(bundled.DEMO_ENCODER)
    address = f"postgresql://postgres:{SECRET}@/{postgres.database}?host={postgres.socket}&store=x"
    shown = f"postgresql://postgres@/{postgres.database}?host={postgres.socket}&store=x"
    said = [
        told(lagotto("captions", "create", address, "--pairs", photos, "--encoder", encoder)),
        told(lagotto("captions", "add", address, "--pairs", "texts.txt")),
        told(lagotto("captions", "search", address, "a dog", "--json")),
        told(lagotto("captions", "status", address)),
        told(lagotto("captions", "verify", address, "--json")),
        told(lagotto("captions", "index", address)),
        told(lagotto(*("classify", photos, "--labels", "cat,dog"), *("--captions", address))),
        told(
            lagotto(
                *("classify", photos, "--labels", "cat,dog", "--captions", address, "--json"),
                *("--explain", tmp_path / "pages"),
            )
        ),
    ]
    assert said[0].startswith(f"{shown}: 6 pictures and 6 captions added")
    assert "index on the server: 6 captions, recall@16 1.0000" in said[0]
    assert json.loads(said[2].splitlines()[0])["store"] == shown
    assert "index     7 captions" in said[3]
    assert json.loads(said[4])["store"] == shown
    refused = lagotto("captions", "create", address, "--pairs", photos, "--encoder", encoder)
    refused.refused(2, "exists already", f"lagotto captions add {shown}")
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 10
    in_tables = postgres.run(
        "SELECT content::text FROM lagotto_x.manifest UNION ALL SELECT line FROM lagotto_x.shards "
        "UNION ALL SELECT content::text FROM lagotto_x.indexes"
    )
    for text in (*said, refused.err, str(in_tables), *map(str, kept)):
        assert SECRET not in text
