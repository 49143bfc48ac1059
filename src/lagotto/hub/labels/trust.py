"""How far the published labels of a hub's models are believed: an audit each, made once and kept.

A list that another order fits better, or that behaviour contradicts, is not believed at all. One
that fits is believed firmly, but for the labels that the audit finds misplaced; these, and a short
list that cannot be judged, are believed until a query contradicts them. A long one would show that
it is right, by what its names mean or by which of them are alike: it is not believed.
"""

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError
from lagotto.core.files import canonical_json, write_atomically
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject, JsonValue
from lagotto.hub.labels.audit import audit_model
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.text.matching import (
    FIRMLY,
    OPENLY,
    find_named,
    name_words,
)

TRUST_FILE = "label_trust.json"
_VERSION = 2
"""Of the file; raised with what an audit says, so that lists are audited anew."""

DISBELIEVED = ("another order fits", "contradicted", "wrong count")
"""Verdicts of lists that are not believed at all."""


LONG = 100
"""Labels from which a list that shows no sign of being right is not believed."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What an audit says of a model's labels: the verdict on the list, and which seem misplaced.

    `key` digests what was audited.
    """

    key: str
    verdict: str
    doubted: tuple[int, ...] = ()

    def of(self, outputs: int) -> Float32[np.ndarray, " outputs"]:
        """How far each label is believed: see label_names.Named."""
        level = FIRMLY if self.verdict == "fits" else OPENLY
        if self.verdict in DISBELIEVED or (level < FIRMLY and outputs >= LONG):
            level = 0.0
        levels = np.full(outputs, level, np.float32)
        doubted = [logit for logit in self.doubted if 0 <= logit < outputs]
        levels[doubted] = np.minimum(levels[doubted], OPENLY)
        return levels


NEVER = Trust("", "")
"""Of a model that was not audited."""


class LabelTrust:
    """The audits of a hub's models, each made when it is first asked for.

    They are kept in HUB/label_trust.json; in a hub that cannot be written to they are made again
    by every process.
    """

    def __init__(self, hub: HubReader) -> None:
        self._hub = hub
        self._file = hub.folder / TRUST_FILE
        self._known = _read(self._file.read_bytes() if self._file.is_file() else b"")
        self._checked: dict[str, Float32[np.ndarray, " logits"]] = {}

    def check(self, models: Collection[str], progress: Progress) -> None:
        """Audits those of some models that were not yet, or whose labels have changed."""
        keys = {model: self._key(model) for model in models if model not in self._checked}
        new = [model for model, key in keys.items() if key != self._known.get(model, NEVER).key]
        if new:
            progress.start("checking labels", len(new), "models")
        for model in new:
            self._known[model] = self._audited(model, keys[model])
            progress.advance(1)
        if new:
            progress.finish()
            self._keep()
        for model in keys:
            self._checked[model] = self._known[model].of(len(self._hub.labels(model)))

    def believed(self, model: str) -> Float32[np.ndarray, " logits"]:
        """For each logit of a model of the hub how far its label is believed."""
        if model not in self._checked:
            self.check((model,), Silent())
        return self._checked[model]

    def _key(self, model: str) -> str:
        labels = self._hub.labels(model)
        return sha256(canonical_json([self._hub.digest_of(model), *labels])).hexdigest()

    @cached_property
    def _reader(self) -> LabelEncoder:
        return LabelEncoder(self._hub)

    def _audited(self, model: str, key: str) -> Trust:
        audit = audit_model(self._hub, self._hub.responses_of(model), reader=self._reader)
        return Trust(key, audit.verdict, tuple(finding.logit for finding in audit.findings))

    def _keep(self) -> None:
        models: JsonObject = {
            model: {"key": each.key, "verdict": each.verdict, "doubted": list(each.doubted)}
            for model, each in sorted(self._known.items())
        }
        with suppress(HubError):
            write_atomically(self._file, canonical_json({"version": _VERSION, "models": models}))


def with_names(
    hub: HubReader, trust: LabelTrust, concepts: tuple[ConceptQuery, ...], progress: Progress
) -> tuple[ConceptQuery, ...]:
    """The same concepts, each with the logits whose published label says its words.

    The labels of models that are met for the first time are audited, which takes seconds for one
    of a thousand outputs.
    """
    logit_index = hub.logit_index()
    met = {model for c in concepts for model, _, _ in hub.labelled(sorted(name_words(c.text)))}
    trust.check([name for name in logit_index.names.values() if name in met], progress)
    return tuple(
        replace(
            concept,
            named=find_named(
                concept.text,
                hub.labelled,
                logit_index.column,
                lambda model, logit: float(trust.believed(model)[logit]),
            ),
        )
        for concept in concepts
    )


def _read(content: bytes) -> dict[str, Trust]:
    """What a file says; nothing of a damaged one or of another version, which is made anew."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        kept: dict[str, JsonValue] = json.loads(content)
        models = kept["models"]
        if kept["version"] == _VERSION and isinstance(models, dict):
            return {str(model): _trust(each) for model, each in models.items()}
    return {}


def _trust(entry: object) -> Trust:
    match entry:
        case {"key": str(key), "verdict": str(verdict), "doubted": list(doubted)} if all(
            isinstance(logit, int) for logit in doubted
        ):
            return Trust(key, verdict, tuple(doubted))
        case _:
            raise ValueError("no trust")
