"""Stage 4b of hub search: a text, pictures or a known logit → its query vector, with notes."""

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import UsageError
from lagotto.core.types import Query
from lagotto.encoders.base import Encoder
from lagotto.hubsearch.embedding import embed_pictures
from lagotto.hubsearch.queries import query_from_embedding, standardise_query
from lagotto.hubsearch.search import ImageQuery, LogitQuery, QueryVector, TextQuery


def text_vector(
    encoder: Encoder, probe_embeddings: Float32[np.ndarray, "probes dim"], query: TextQuery
) -> QueryVector:
    """Cosine of the text with each probe, standardised; says so if the text was cut.

    Raises UsageError for an empty text or a template without exactly one {}.
    """
    template = encoder.info.prompt_template if query.template is None else query.template
    if template.count("{}") != 1:
        raise UsageError(f"template {template!r} needs exactly one {{}} where the text goes")
    if not query.text.strip():
        raise UsageError("the text is empty; give a concept, for example: golden retriever")
    prompt = template.replace("{}", query.text.strip())
    tokens, limit = encoder.token_counts([prompt])[0], encoder.info.context_length
    notes = (
        (f"the text has {tokens} tokens and the encoder reads {limit}: the end was cut",)
        if tokens > limit
        else ()
    )
    values = query_from_embedding(encoder.embed_texts([prompt])[0], probe_embeddings)
    return QueryVector(Query("text", query.text), values, None, notes)


def image_vector(
    encoder: Encoder, probe_embeddings: Float32[np.ndarray, "probes dim"], query: ImageQuery
) -> QueryVector:
    """Cosine of the pictures' mean embedding with each probe, standardised.

    Raises UsageError for no picture, or one that cannot be read.
    """
    if not query.files:
        raise UsageError("no picture given; give at least one file")
    concept = embed_pictures(encoder, query.files).mean(axis=0)
    values = query_from_embedding(concept, probe_embeddings)
    return QueryVector(Query("image", tuple(str(file) for file in query.files)), values)


def logit_vector(
    query: LogitQuery,
    responses: Float32[np.ndarray, " probes"],
    itself: tuple[str, int] | None,
) -> QueryVector:
    """The responses of a logit, standardised.

    `itself` is the logit of the hub that it is, if it is one, by its model's own name.
    """
    name = Query("logit", f"{query.model}:{query.index}")
    return QueryVector(name, standardise_query(responses), itself)


def check_logit(model: str, logit: int, outputs: int) -> None:
    """Raises UsageError unless the model has such a logit."""
    if not 0 <= logit < outputs:
        raise UsageError(
            f"{model} has no logit {logit}: it has {outputs} outputs, 0 to {outputs - 1}"
        )
