"""Known answers and a table of logits in, questions whose answers are columns of it out.

Known answers are those of a truth file, or the models' own labels: logits that share a name answer
each other, and answer the name as a text.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.errors import MismatchError, UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.text.names import listed_names, name_key
from lagotto.encoders.base import Encoder
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.truth import TruthQuery

LABEL_TEXT = "label"
"""Kind of the texts that are the models' own labels."""

LOGIT = "logit"
"""Kind of the questions that known logits ask."""

ALL = "all"
"""Kind of the row over all texts, where they are of several kinds."""

_ANONYMOUS = re.compile(r"(?:(?:label|class|output|logit|unknown|id)[ _-]*)?\d*", re.IGNORECASE)
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Queries:
    """Questions of one kind; `names` are the texts, or MODEL:INDEX of the logits that ask.

    `concepts` are the texts' unit embeddings, nothing (dim 0) for logits. `values` are the cosines
    of a text with the probes, or the asking logit's descriptor; `raw` the same cosines, or its
    responses as they were. `correct` are the columns that answer. `asking` is
    the column that asks, -1 for a text or a logit from elsewhere: no logit of its model counts as
    an answer, right or wrong.
    """

    kind: str
    are_texts: bool
    names: tuple[str, ...]
    concepts: Float32[np.ndarray, "queries dim"]
    values: Float32[np.ndarray, "queries probes"]
    raw: Float32[np.ndarray, "queries probes"]
    correct: tuple[Int64[np.ndarray, " _"], ...]
    asking: Int64[np.ndarray, " queries"]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, positions: Sequence[int]) -> "Queries":
        """Some of the questions."""
        index = np.array(positions, dtype=np.int64)
        return replace(
            self,
            names=tuple(self.names[position] for position in positions),
            concepts=self.concepts[index],
            values=self.values[index],
            raw=self.raw[index],
            correct=tuple(self.correct[position] for position in positions),
            asking=self.asking[index],
        )

    def sample(self, most: int, seed: int) -> "Queries":
        """A random sample, in order, where there are more than so many."""
        if len(self) <= most:
            return self
        drawn = np.random.default_rng(seed).choice(len(self), most, replace=False)
        return self.take(np.sort(drawn).tolist())

    def on_probes(self, rows: Int64[np.ndarray, " rows"]) -> "Queries":
        """The questions as if these had been all the probes."""
        return replace(self, values=self.values[:, rows], raw=self.raw[:, rows])


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions by kind, and how many of a truth name no logit of the table: not asked."""

    questions: tuple[Queries, ...]
    left_out: int = 0


def text_questions(
    table: LogitTable,
    truth: Sequence[TruthQuery],
    encoder: Encoder,
    progress: Progress | None = None,
) -> Asked:
    """The texts of a truth as questions, kinds in alphabetical order; each text is embedded once.

    Logits that the table does not hold are no answers. Raises UsageError where no text has one, or
    a kind is one that results keep for themselves.
    """
    columns = table.columns()
    answers = [
        np.array(sorted(columns[name] for name in query.correct if name in columns), np.int64)
        for query in truth
    ]
    known = [place for place, found in enumerate(answers) if len(found)]
    if not known:
        raise UsageError(
            f"none of the {len(truth)} queries of the truth names a logit of these models; "
            "answers are [model, logit] with the names of: lagotto hub status HUB"
        )
    by_kind = _places_by_kind(truth, known)
    texts = list(dict.fromkeys(truth[place].text for place in known))
    embedded = embed_texts(encoder, texts, progress or Silent())
    rows = {text: row for row, text in enumerate(texts)}
    questions = []
    for kind, places in sorted(by_kind.items()):
        names = tuple(truth[place].text for place in places)
        concepts = embedded[[rows[name] for name in names]]
        cosines = (concepts @ table.embeddings.T).astype(np.float32)
        correct = tuple(answers[place] for place in places)
        asking = np.full(len(places), -1, np.int64)
        questions.append(Queries(kind, True, names, concepts, cosines, cosines, correct, asking))
    return Asked(tuple(questions), len(truth) - len(known))


def logit_questions(table: LogitTable, elsewhere: LogitTable | None = None) -> Queries | None:
    """Every usable logit whose name another model knows asks for its namesakes there.

    Those of another table ask where one is given, of models seen on the same probes. None if there
    are no namesakes. Raises MismatchError for other probes.
    """
    asking = elsewhere or table
    if not np.array_equal(asking.embeddings, table.embeddings):
        raise MismatchError(
            f"the logits that ask were seen on {len(asking.embeddings)} other probes than the "
            f"{len(table.embeddings)} here; make both hubs with the same --probes, --max-probes "
            "and --seed"
        )
    by_name = _columns_by_name(table)
    owners = table.owners
    columns, correct = [], []
    for column in np.flatnonzero(asking.usable).tolist():
        namesakes = {other for name in names_of(asking.labels[column]) for other in by_name[name]}
        own = None if elsewhere else owners[column]
        others = sorted(other for other in namesakes if owners[other] != own)
        if others:
            columns.append(column)
            correct.append(np.array(others, np.int64))
    if not columns:
        return None
    return Queries(
        LOGIT,
        False,
        tuple("{}:{}".format(*asking.name(column)) for column in columns),
        np.zeros((len(columns), 0), np.float32),
        np.ascontiguousarray(asking.descriptors[:, columns].T),
        np.ascontiguousarray(asking.raw[:, columns].T),
        tuple(correct),
        np.full(len(columns), -1) if elsewhere else np.array(columns, np.int64),
    )


def label_truth(table: LogitTable) -> tuple[TruthQuery, ...]:
    """Every name in the models' labels as a text, with the logits that carry it.

    Empty if no model has labels that say anything.
    """
    written: dict[str, str] = {}
    for label in table.labels:
        for part in _parts(label):
            written.setdefault(name_key(part), part)
    return tuple(
        TruthQuery(written[name], LABEL_TEXT, frozenset(table.name(column) for column in columns))
        for name, columns in sorted(_columns_by_name(table).items())
    )


def names_of(label: str | None) -> tuple[str, ...]:
    """The names in a label, which commas part, as lower-case words; none if it only counts.

    >>> names_of("tench, Tinca_tinca")
    ('tench', 'tinca tinca')
    >>> names_of("LABEL_7")
    ()
    """
    return tuple(dict.fromkeys(name_key(part) for part in _parts(label)))


def embed_texts(
    encoder: Encoder, texts: Sequence[str], progress: Progress
) -> Float32[np.ndarray, "texts dim"]:
    """Unit embeddings of texts in the encoder's own prompt, as a search embeds them."""
    prompts = [encoder.info.prompt_template.replace("{}", text.strip()) for text in texts]
    progress.start("embedding texts", len(prompts), "texts")
    parts = []
    for start in range(0, len(prompts), _TEXTS_AT_ONCE):
        parts.append(encoder.embed_texts(prompts[start : start + _TEXTS_AT_ONCE]))
        progress.advance(len(parts[-1]))
    progress.finish()
    return np.concatenate(parts)


def _places_by_kind(truth: Sequence[TruthQuery], places: Sequence[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for place in places:
        found[truth[place].kind or "text"].append(place)
    for taken in (LOGIT, ALL):
        if taken in found:
            raise UsageError(
                f"the truth has texts of kind {taken!r}, which results keep for themselves; "
                "give that kind another name"
            )
    return found


def _parts(label: str | None) -> Iterable[str]:
    return (part for part in listed_names(label or "") if not _ANONYMOUS.fullmatch(part))


def _columns_by_name(table: LogitTable) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for column, label in enumerate(table.labels):
        for name in names_of(label):
            found[name].append(column)
    return found
