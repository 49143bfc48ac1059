"""The tables of a caption store on a server, as SQL; docs/reference/formats.md says the same.

Texts and sources are bytes of UTF-8, so that a store says the same whatever the encoding of its
database. Rows are numbered from 0 in the order of arrival, as in a folder.
"""

from dataclasses import dataclass
from typing import LiteralString

from lagotto.zeroshot.nearest import StorePart

MADE: LiteralString = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.manifest (content json NOT NULL);
CREATE TABLE {schema}.shards (number bigint PRIMARY KEY, line text NOT NULL);
CREATE TABLE {schema}.pictures (
    number bigint PRIMARY KEY,
    digest bytea NOT NULL,
    first_caption bigint NOT NULL,
    end_caption bigint NOT NULL,
    embedding halfvec({dim}) NOT NULL
);
CREATE TABLE {schema}.captions (
    number bigint PRIMARY KEY,
    picture bigint,
    text bytea NOT NULL,
    source bytea NOT NULL,
    key bigint NOT NULL,
    embedding halfvec({dim}) NOT NULL
);
CREATE TABLE {schema}.set_aside (
    number bigint PRIMARY KEY,
    source bytea NOT NULL,
    reason bytea NOT NULL
);
CREATE TABLE {schema}.indexes (content json NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class IndexText:
    """An index: its name in the schema, and the statement that makes it."""

    name: str
    made: LiteralString


CONNECTIVITY, EXPANSION_BUILD = 16, 128

INDEXES: dict[StorePart, IndexText] = {
    "pictures": IndexText(
        "pictures_nearest",
        "CREATE INDEX IF NOT EXISTS pictures_nearest ON {schema}.pictures "
        "USING hnsw (embedding halfvec_ip_ops) WITH (m = 16, ef_construction = 128)",
    ),
    "captions": IndexText(
        "captions_nearest",
        "CREATE INDEX IF NOT EXISTS captions_nearest ON {schema}.captions "
        "USING hnsw (embedding halfvec_ip_ops) WITH (m = 16, ef_construction = 128)",
    ),
    "text_only": IndexText(
        "text_only_nearest",
        "CREATE INDEX IF NOT EXISTS text_only_nearest ON {schema}.captions "
        "USING hnsw (embedding halfvec_ip_ops) WITH (m = 16, ef_construction = 128) "
        "WHERE picture IS NULL",
    ),
}
"""The indexes by the parts of a store; see `StorePart`. Rows have unit length, so that the inner
product is the cosine."""
