"""A text, pictures or a known logit come in; its query vector, with notes, goes out."""

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
    PROBE_WEIGHTS,
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


def text_vector(encoder: Encoder, space: ProbeSpace, query: TextQuery) -> QueryVector:
    """The query vector of concepts in words, joined as the text says.

    Args:
        encoder: Embeds the words, and the pictures where the query has some.
        space: The probes and the background words in the encoder's space.
        query: The text, its template and its pictures.

    Returns:
        The query vector; it has a note if the encoder does not read all of the text.

    Raises:
        UsageError: The text is empty, an operator joins nothing, the template has not exactly one
            {}, or a picture cannot be read.
    """
    template = encoder.info.prompt_template if query.template is None else query.template
    if template.count("{}") != 1:
        raise UsageError(f"template {template!r} needs exactly one {{}} where the text goes")
    if not query.text.strip():
        raise UsageError("the text is empty; give a concept, for example: golden retriever")
    parsed = parse_concepts(query.text)
    prompts = [template.replace("{}", concept) for concept in parsed.concepts]
    embeddings = encoder.embed_texts(prompts)
    values = [query_from_embedding(embedding, space.probes) for embedding in embeddings]
    directions = embeddings - space.background_mean
    weights, coverage = weigh_texts(space, embeddings)
    concepts = [
        ConceptQuery(*fields)
        for fields in zip(weights, directions, parsed.concepts, coverage.tolist(), strict=True)
    ]
    expression = parsed.expression
    if query.pictures:
        picture_values, picture_concept = _embed_examples(encoder, space, query.pictures)
        expression = Junction(True, (expression, Term(len(concepts))))
        values.append(picture_values)
        concepts.append(picture_concept)
    return QueryVector(
        Query("text", query.text),
        _join_values(expression, values),
        None,
        _length_notes(encoder, prompts),
        tuple(concepts),
        expression,
    )


def image_vector(encoder: Encoder, space: ProbeSpace, query: ImageQuery) -> QueryVector:
    """The query vector of example pictures, which count by the mean of their embeddings.

    Raises UsageError for no picture, or one that cannot be read.
    """
    if not query.files:
        raise UsageError("no picture given; give at least one file")
    values, concept = _embed_examples(encoder, space, query.files)
    name = Query("image", tuple(str(file) for file in query.files))
    return QueryVector(name, values, concepts=(concept,))


def logit_vector(
    query: LogitQuery,
    responses: Float32[np.ndarray, " probes"],
    itself: tuple[str, int] | None,
) -> QueryVector:
    """The query vector of a known logit: its raw responses on all probes, standardized.

    `itself` is the logit's model and number where it is a logit of the hub: a search leaves it out.
    """
    name = Query("logit", f"{query.model}:{query.index}")
    return QueryVector(name, standardize_query(responses), itself)


def _embed_examples(
    encoder: Encoder, space: ProbeSpace, files: tuple[Path, ...]
) -> tuple[Float32[np.ndarray, " probes"], ConceptQuery]:
    """The mean of example pictures as standardized cosines with the probes, and as a concept."""
    concept = embed_pictures(encoder, files).mean(axis=0)
    values = query_from_embedding(concept, space.probes)
    unit = concept / np.linalg.norm(concept)
    direction = (unit - space.probes.mean(axis=0)).astype(np.float32)
    return values, ConceptQuery(picture_weights(space, concept), direction)


def _join_values(
    expression: Expression, values: list[Float32[np.ndarray, " probes"]]
) -> Float32[np.ndarray, " probes"]:
    """The values of the whole query from those of its concepts."""
    if expression == SINGLE:
        return values[0]
    threshold = PROBE_WEIGHTS.presence_threshold
    return standardize_query(join_scores(expression, np.stack(values), threshold))


def _length_notes(encoder: Encoder, prompts: list[str]) -> tuple[str, ...]:
    """A note where the encoder does not read all of a prompt."""
    limit = encoder.info.context_length
    tokens = max(encoder.token_counts(prompts))
    if tokens <= limit:
        return ()
    return (f"the text has {tokens} tokens and the encoder reads {limit}: the end was cut",)
