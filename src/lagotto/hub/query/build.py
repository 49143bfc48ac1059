"""Stage 4e of hub search: a text, pictures or a known logit → its query vector, with notes."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import UsageError
from lagotto.core.types import Query
from lagotto.encoders.base import Encoder
from lagotto.hub.probes.embed import embed_pictures
from lagotto.hub.query.boolean import (
    SINGLE,
    Expression,
    Junction,
    Term,
    join_scores,
    parse_concepts,
)
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    picture_weights,
    weigh_texts,
)
from lagotto.hub.query.types import (
    ConceptQuery,
    ImageQuery,
    LogitQuery,
    QueryVector,
    TextQuery,
)
from lagotto.hub.query.vectors import query_from_embedding, standardize_query

SHOWN_FROM = 2.0
"""Standard deviations of a cosine from which a probe is more likely than not to show a concept;
decides only how joined concepts are shown and compared by the paper's rule."""


def text_vector(encoder: Encoder, space: ProbeSpace, query: TextQuery) -> QueryVector:
    """Concepts in words, joined as the text says; says so if a text was cut.

    Raises UsageError for an empty text, operators that join nothing, a template without exactly one
    {}, or a picture that cannot be read.
    """
    template = encoder.info.prompt_template if query.template is None else query.template
    if template.count("{}") != 1:
        raise UsageError(f"template {template!r} needs exactly one {{}} where the text goes")
    if not query.text.strip():
        raise UsageError("the text is empty; give a concept, for example: golden retriever")
    parsed = parse_concepts(query.text)
    prompts = [template.replace("{}", concept) for concept in parsed.concepts]
    embeddings = encoder.embed_texts(prompts)
    values = [query_from_embedding(each, space.probes) for each in embeddings]
    directions = embeddings - space.background_mean
    weights, covered = weigh_texts(space, embeddings)
    concepts = [
        ConceptQuery(*each)
        for each in zip(weights, directions, parsed.concepts, covered.tolist(), strict=True)
    ]
    expression = parsed.expression
    if query.pictures:
        shown, evidence = _pictures(encoder, space, query.pictures)
        expression = Junction(True, (expression, Term(len(concepts))))
        values.append(shown)
        concepts.append(evidence)
    return QueryVector(
        Query("text", query.text),
        _joined(expression, values),
        None,
        _cut(encoder, prompts),
        tuple(concepts),
        expression,
    )


def image_vector(encoder: Encoder, space: ProbeSpace, query: ImageQuery) -> QueryVector:
    """Cosine of the pictures' mean embedding with each probe, standardised.

    Raises UsageError for no picture, or one that cannot be read.
    """
    if not query.files:
        raise UsageError("no picture given; give at least one file")
    values, evidence = _pictures(encoder, space, query.files)
    asked = Query("image", tuple(str(file) for file in query.files))
    return QueryVector(asked, values, concepts=(evidence,))


def logit_vector(
    query: LogitQuery,
    responses: Float32[np.ndarray, " probes"],
    itself: tuple[str, int] | None,
) -> QueryVector:
    """The responses of a logit, standardised.

    `itself` is the logit of the hub that it is, if it is one, by its model's own name.
    """
    name = Query("logit", f"{query.model}:{query.index}")
    return QueryVector(name, standardize_query(responses), itself)


def _pictures(
    encoder: Encoder, space: ProbeSpace, files: tuple[Path, ...]
) -> tuple[Float32[np.ndarray, " probes"], ConceptQuery]:
    """Example pictures as standardised cosines, and as evidence; they count by their mean."""
    concept = embed_pictures(encoder, files).mean(axis=0)
    values = query_from_embedding(concept, space.probes)
    unit = concept / np.linalg.norm(concept)
    direction = (unit - space.probes.mean(axis=0)).astype(np.float32)
    return values, ConceptQuery(picture_weights(space, concept), direction)


def _joined(
    expression: Expression, values: list[Float32[np.ndarray, " probes"]]
) -> Float32[np.ndarray, " probes"]:
    """One row of values for the whole query; that of a single concept is left as it is."""
    if expression == SINGLE:
        return values[0]
    return standardize_query(join_scores(expression, np.stack(values), SHOWN_FROM))


def _cut(encoder: Encoder, prompts: list[str]) -> tuple[str, ...]:
    limit = encoder.info.context_length
    tokens = max(encoder.token_counts(prompts))
    if tokens <= limit:
        return ()
    return (f"the text has {tokens} tokens and the encoder reads {limit}: the end was cut",)
