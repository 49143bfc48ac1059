"""Listings and results of probing come in; records of models, logits, failures and runs go out.

This is the catalogue of a hub, an SQLite file.

Each method that writes is one transaction. database.py opens the file, audits.py
has the table of audits.
"""

import json
from collections.abc import Collection, Sequence, Set
from hashlib import sha256

from lagotto.core.errors import HubError, UsageError
from lagotto.core.files import canonical_json
from lagotto.core.registry import suggest
from lagotto.core.types import JsonObject, JsonValue
from lagotto.hub.store.database import Database, json_list
from lagotto.hub.store.records import (
    MODEL_COLUMNS,
    Copy,
    FailureRecord,
    FileFacts,
    Listing,
    LogitRecord,
    ModelFacts,
    ModelRecord,
    Plan,
    RunRecord,
    model_record,
)

_SHORT = 8
_FORGET_REPAIRED = "DELETE FROM models WHERE status = 'failed' AND source = ?"
_FORGET_COLUMNS = (
    "UPDATE models SET segment = NULL, place = NULL, made_with = '', probes_seen = NULL, "
    "responses_bytes = NULL, responses_changed_ns = NULL WHERE position = ?"
)
_DONE_RECORDS = "SELECT digest, name, record_sha256 FROM models WHERE status = 'done'"


class Catalog(Database):
    """An open catalogue; every method raises HubError as those of `Database`."""

    def plan(self, listings: Sequence[Listing]) -> Plan:
        """Enters the models that a user listed, and decides what is to be done with each.

        A new digest becomes a pending model; failures that were recorded for its path are dropped.
        A failed model becomes pending again and keeps its position. A known digest with another
        source is a copy. If another model has the name, "~" and the beginning of the digest are
        appended to it.

        Returns:
            The models to probe in the order listed, the number of those done, and the copies.
        """
        done: set[str] = set()
        pending: dict[str, None] = {}
        copies: list[Copy] = []
        with self.transaction():
            for listing in listings:
                known = self._by_digest(listing.digest)
                if known is None:
                    self.run(_FORGET_REPAIRED, (listing.source,))
                    self._insert_model(listing)
                    pending[listing.digest] = None
                    continue
                if known.status != "done" and known.digest not in pending:
                    self._retry(known, listing)
                    pending[known.digest] = None
                elif known.source != listing.source:
                    copies.append(self._insert_copy(known, listing))
                elif known.status == "done":
                    done.add(known.digest)
            models = tuple(self._model(digest) for digest in pending)
        return Plan(pending=models, already=len(done), copies=tuple(copies))

    def expect(self, listings: Sequence[Listing]) -> tuple[tuple[ModelRecord, ...], int]:
        """Enters remote models that are not fetched yet, each with a stand-in for its digest.

        A source names its content, so the source alone decides whether a model is known.

        Returns:
            The models to fetch, in the order listed, and the number of those done or copies.
        """
        expected: dict[int, None] = {}
        done = 0
        with self.transaction():
            for listing in listings:
                known = self._by_source(listing.source) or self._by_digest(listing.digest)
                copy = "SELECT 1 FROM copies WHERE source = ?"
                if known is None and not self.run(copy, (listing.source,)):
                    self._insert_model(listing)
                    known = self._model(listing.digest)
                elif known is not None and known.status != "done":
                    self._retry(known, listing)
                else:
                    done += 1
                    continue
                expected[known.position] = None
            query = f"SELECT {MODEL_COLUMNS} FROM models WHERE position = ?"
            rows = [self.run(query, (position,))[0] for position in expected]
        return tuple(map(model_record, rows)), done

    def identify(
        self, expected: ModelRecord, listing: Listing, fetched: Set[str]
    ) -> ModelRecord | Copy:
        """Replaces the stand-in of a model that was fetched by its digest.

        If the hub has a model with that digest, the row of the expected model is deleted. The
        fetched one is a copy of it; but if it failed in an earlier run, it is tried again with the
        fetched file.

        `fetched` are the digests of the models that this run has fetched before. Returns the model
        to probe, or the copy.
        """
        with self.transaction():
            known = self._by_digest(listing.digest)
            if known is not None and known.position != expected.position:
                self.run("DELETE FROM models WHERE position = ?", (expected.position,))
                if known.status == "done" or known.digest in fetched:
                    return self._insert_copy(known, listing)
                self._retry(known, listing)
            else:
                values = (listing.digest, listing.source, expected.position)
                self.run("UPDATE models SET digest = ?, source = ? WHERE position = ?", values)
            return self._model(listing.digest)

    def record_done(self, digest: str, facts: ModelFacts, file: FileFacts | None = None) -> None:
        """Records that a pending model was probed: its facts, its logits, and its checksum.

        `file` is what is known of the file of its responses.
        """
        with self.transaction():
            model = self._model(digest)
            self._forget_result(model)
            self._record_file(model, file)
            values = (
                "done",
                facts.framework,
                facts.outputs,
                facts.output,
                facts.logits_source,
                canonical_json(facts.input).decode(),
                canonical_json(list(facts.notes)).decode(),
                facts.responses_sha256,
                model.position,
            )
            self.run(
                "UPDATE models SET status = ?, framework = ?, outputs = ?, output = ?, "
                "logits_source = ?, input = ?, notes = ?, responses_sha256 = ? WHERE position = ?",
                values,
            )
            labels = facts.labels or (None,) * facts.outputs
            self.run_many(
                "INSERT INTO logits VALUES (?, ?, ?, ?)",
                [
                    (model.position, logit, label, reason)
                    for logit, (label, reason) in enumerate(zip(labels, facts.invalid, strict=True))
                ],
            )
            self.run(
                "UPDATE models SET record_sha256 = ? WHERE position = ?",
                (self.record_digest(digest), model.position),
            )

    def record_extended(
        self,
        digest: str,
        invalid: Sequence[str],
        responses_sha256: str,
        file: FileFacts | None = None,
    ) -> None:
        """Records that a probed model saw more probes.

        `invalid` says of each logit why it cannot be searched, or ""; `file` is as in
        `record_done`.
        """
        with self.transaction():
            model = self._model(digest)
            self.run(_FORGET_COLUMNS, (model.position,))
            self._record_file(model, file)
            self.run(
                "UPDATE models SET responses_sha256 = ? WHERE position = ?",
                (responses_sha256, model.position),
            )
            self.run_many(
                "UPDATE logits SET flaw = ? WHERE model = ? AND logit = ?",
                [(reason, model.position, logit) for logit, reason in enumerate(invalid)],
            )
            self.run("DELETE FROM audits WHERE model = ?", (model.position,))
            self.run(
                "UPDATE models SET record_sha256 = ? WHERE position = ?",
                (self.record_digest(digest), model.position),
            )

    def record_failure(self, digest: str, kind: str, reason: str) -> None:
        """Records that a pending model could not be probed, and why."""
        with self.transaction():
            model = self._model(digest)
            self._forget_result(model)
            self.run("UPDATE models SET status = 'failed' WHERE position = ?", (model.position,))
            self.run("INSERT INTO failures VALUES (?, ?, ?)", (model.position, kind, reason))

    def record_lost(self, digest: str) -> None:
        """Records that a probed model's responses are missing: it is pending again."""
        with self.transaction():
            model = self._model(digest)
            self._forget_result(model)
            self.run("UPDATE models SET status = 'pending' WHERE position = ?", (model.position,))

    def remove(self, name: str) -> ModelRecord:
        """Deletes a model, its logits, failure and copies, and returns its last record.

        Raises:
            UsageError: The name is unknown, or that of a copy.
        """
        with self.transaction():
            model = self.find(name)
            if model.name != name:
                raise UsageError(f"{name!r} is a copy of {model.name!r}; remove {model.name!r}")
            self.run("DELETE FROM models WHERE position = ?", (model.position,))
        return model

    def find(self, name: str) -> ModelRecord:
        """The model of a name; for the name of a copy, the model that it is a copy of.

        Raises:
            UsageError: There is none; the message suggests a name.
        """
        query = (
            f"SELECT {MODEL_COLUMNS} FROM models WHERE name = ? UNION ALL "
            f"SELECT * FROM (SELECT {_prefixed('m')} FROM models m JOIN copies c "
            "ON c.model = m.position WHERE c.name = ? ORDER BY m.position)"
        )
        rows = self.run(query, (name, name))
        if rows:
            return model_record(rows[0])
        known = [row[0] for row in self.run("SELECT name FROM models ORDER BY position")]
        count = f"the hub knows {len(known)} models"
        raise UsageError(
            f"no model {name!r}; {count}, see: lagotto hub status {self.path.parent}."
            f"{suggest(name, known)}"
        )

    def has(self, name: str) -> bool:
        """True if a model or a copy has that name."""
        query = "SELECT 1 FROM models WHERE name = ?1 UNION SELECT 1 FROM copies WHERE name = ?1"
        return bool(self.run(query, (name,)))

    def models(self, status: str | None = None) -> tuple[ModelRecord, ...]:
        """All models, or those of one status, in the order in which they were first listed."""
        query = f"SELECT {MODEL_COLUMNS} FROM models WHERE ?1 IS NULL OR status = ?1"
        return tuple(map(model_record, self.run(f"{query} ORDER BY position", (status,))))

    def done(self, digests: Collection[str], sources: Collection[str] = ()) -> list[ModelRecord]:
        """Those of some models that are done, by digest or by source, as `models` orders them."""
        rows = self.run(
            f"SELECT {MODEL_COLUMNS} FROM models WHERE status = 'done' AND position IN ("
            "SELECT position FROM models WHERE digest IN (SELECT value FROM json_each(?)) "
            "UNION SELECT position FROM models WHERE source IN (SELECT value FROM json_each(?))"
            ") ORDER BY position",
            (json_list(digests), json_list(sources)),
        )
        return list(map(model_record, rows))

    def logits(self, digest: str) -> tuple[LogitRecord, ...]:
        """A model's logits in order; none unless it is done."""
        rows = self.run(
            "SELECT logit, label, flaw FROM logits JOIN models ON position = model "
            "WHERE digest = ? ORDER BY logit",
            (digest,),
        )
        return tuple(LogitRecord(*row) for row in rows)

    def logit_labels(self, digest: str) -> tuple[str | None, ...]:
        """A model's published label for each logit, None where it has none."""
        return tuple(record.label for record in self.logits(digest))

    def failures(self) -> tuple[FailureRecord, ...]:
        """Why models failed, in the order of the models."""
        rows = self.run(
            "SELECT digest, name, source, kind, reason FROM failures "
            "CROSS JOIN models ON position = model ORDER BY position"
        )
        return tuple(FailureRecord(*row) for row in rows)

    def copies(self) -> tuple[Copy, ...]:
        """Every further source of a known model, in the order of the models."""
        rows = self.run(
            "SELECT digest, c.name, c.source, m.name FROM copies c JOIN models m "
            "ON m.position = c.model ORDER BY m.position, c.name, c.source"
        )
        return tuple(Copy(*row) for row in rows)

    def start_run(self, command: JsonObject, started: str) -> int:
        """Records that a run begins and returns its id; `started` is ISO 8601 text."""
        with self.transaction():
            cursor = self._connection.execute(
                "INSERT INTO runs (command, started) VALUES (?, ?)",
                (canonical_json(command).decode(), started),
            )
        return int(cursor.lastrowid or 0)

    def finish_run(self, run: int, finished: str, done: int, failed: int, skipped: int) -> None:
        """Records how a run ended; a run that was killed has no end."""
        with self.transaction():
            self.run(
                "UPDATE runs SET finished = ?, done = ?, failed = ?, skipped = ? WHERE id = ?",
                (finished, done, failed, skipped, run),
            )

    def runs(self) -> tuple[RunRecord, ...]:
        """All runs, first to last."""
        rows = self.run(
            "SELECT id, command, started, finished, done, failed, skipped FROM runs ORDER BY id"
        )
        return tuple(RunRecord(row[0], json.loads(row[1]), *row[2:]) for row in rows)

    def damages(self) -> tuple[str, ...]:
        """One line for each damage: by SQLite's own check, and by the digest of each record."""
        reports = [row[0] for row in self.run("PRAGMA integrity_check")]
        broken = [f"a row of {row[0]} has no model" for row in self.run("PRAGMA foreign_key_check")]
        # Two looks: a model may be added or removed between the queries of one.
        looks = (self._altered_records(), self._altered_records())
        altered = [f"the record of {name} was altered" for name in looks[0] if name in looks[1]]
        return tuple(line for line in [*reports, *broken, *altered] if line != "ok")

    def _altered_records(self) -> list[str]:
        """The names of the models whose record does not give its digest."""
        return [
            str(row[1]) for row in self.run(_DONE_RECORDS) if row[2] != self.record_digest(row[0])
        ]

    def record_digest(self, digest: str) -> str:
        """sha256 of the rows of a model that is done and of its logits; "" if it is gone."""
        model = self.run(f"SELECT {MODEL_COLUMNS} FROM models WHERE digest = ?", (digest,))
        logits: list[JsonValue] = [
            [record.logit, record.label, record.invalid] for record in self.logits(digest)
        ]
        return sha256(canonical_json([list(model[0]), logits])).hexdigest() if model else ""

    def _by_source(self, source: str) -> ModelRecord | None:
        query = f"SELECT {MODEL_COLUMNS} FROM models WHERE source = ? ORDER BY position"
        rows = self.run(query, (source,))
        return model_record(rows[0]) if rows else None

    def _by_digest(self, digest: str) -> ModelRecord | None:
        rows = self.run(f"SELECT {MODEL_COLUMNS} FROM models WHERE digest = ?", (digest,))
        return model_record(rows[0]) if rows else None

    def _model(self, digest: str) -> ModelRecord:
        model = self._by_digest(digest)
        if model is None:
            raise HubError(f"{self.path} has no model {digest}; list it with lagotto hub add first")
        return model

    def _insert_model(self, listing: Listing) -> None:
        name = listing.name
        for ending in (listing.digest[:_SHORT], listing.digest):
            if self.run("SELECT 1 FROM models WHERE name = ?", (name,)):
                name = f"{listing.name}~{ending}"
        self.run(
            "INSERT INTO models (position, digest, name, status, source) "
            "SELECT coalesce(?, max(position) + 1, 0), ?, ?, 'pending', ? FROM models",
            (listing.position, listing.digest, name, listing.source),
        )

    def _insert_copy(self, model: ModelRecord, listing: Listing) -> Copy:
        values = (model.position, listing.name, listing.source)
        self.run("INSERT OR IGNORE INTO copies VALUES (?, ?, ?)", values)
        return Copy(model.digest, listing.name, listing.source, model.name)

    def _retry(self, model: ModelRecord, listing: Listing) -> None:
        self._forget_result(model)
        self.run(
            "UPDATE models SET status = 'pending', source = ? WHERE position = ?",
            (listing.source, model.position),
        )

    def _record_file(self, model: ModelRecord, file: FileFacts | None) -> None:
        if file is not None:
            self.run(
                "UPDATE models SET responses_bytes = ?, responses_changed_ns = ?, probes_seen = ? "
                "WHERE position = ?",
                (file.bytes, file.changed_ns, file.probes_seen, model.position),
            )

    def _forget_result(self, model: ModelRecord) -> None:
        self.run(_FORGET_COLUMNS, (model.position,))
        self.run("DELETE FROM failures WHERE model = ?", (model.position,))
        self.run("DELETE FROM logits WHERE model = ?", (model.position,))
        self.run("DELETE FROM audits WHERE model = ?", (model.position,))


def _prefixed(table: str) -> str:
    return ", ".join(f"{table}.{column}" for column in MODEL_COLUMNS.split(", "))
