"""Labels and prompt templates come in; one unit embedding a label goes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest
from lagotto.core.vectors import unit_rows
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.prompts.labels import Label

TEMPLATES: dict[str, tuple[str, ...]] = {
    "single": (),
    "plain": ("{}",),
    "simple": (
        "a photo of a {}.",
        "a photo of the {}.",
        "a bad photo of a {}.",
        "a large {} in a photo.",
        "a small {} in a photo.",
        "a drawing of a {}.",
        "a close-up photo of a {}.",
    ),
    "broad": (
        "a photo of a {}.",
        "a photo of the {}.",
        "a photo of one {}.",
        "a photo of many {}.",
        "a photo of my {}.",
        "a good photo of a {}.",
        "a bad photo of a {}.",
        "a blurry photo of a {}.",
        "a dark photo of a {}.",
        "a bright photo of a {}.",
        "a low resolution photo of a {}.",
        "a cropped photo of a {}.",
        "a close-up photo of a {}.",
        "a black and white photo of a {}.",
        "a photo of a small {}.",
        "a photo of a large {}.",
        "a photo of a clean {}.",
        "a photo of a dirty {}.",
        "a photo of a {} outdoors.",
        "a photo of a hidden {}.",
        "a drawing of a {}.",
        "a painting of a {}.",
        "a toy {}.",
        "there is a {} in the picture.",
    ),
}
"""Template sets by name. `single` is the encoder's own template. `simple` and `broad` have 7 and 24
common forms; they are not the sets of a publication."""


@dataclass(frozen=True, slots=True)
class LabelPrompts:
    """One unit embedding a label, the mean over its prompts; `notes` report truncated texts."""

    embeddings: Float32[np.ndarray, "labels dim"]
    notes: tuple[str, ...] = ()


def read_templates(source: str, encoder_template: str) -> tuple[str, ...]:
    """The templates of a named set, or of a text file with one a line.

    Args:
        source: The name of a set of TEMPLATES, or the path of a file.
        encoder_template: The encoder's own template, for the set `single`.

    Raises:
        UsageError: There is no such set or file, or a template has not exactly one {}.
    """
    if source in TEMPLATES:
        return TEMPLATES[source] or (encoder_template,)
    path = Path(source).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        known = sorted(TEMPLATES)
        raise UsageError(
            f"templates {source!r}: no such set and no readable text file; sets: "
            f"{', '.join(known)}.{suggest(source, known)}"
        ) from error
    templates = tuple(line.strip() for line in lines if line.strip())
    if not templates:
        raise UsageError(f"templates {source}: an empty file; write one template a line")
    for template in templates:
        if template.count("{}") != 1:
            raise UsageError(
                f"template {template!r} in {source} needs exactly one {{}} where the name goes"
            )
    return templates


def embed_labels(
    encoder: Encoder, labels: Sequence[Label], templates: Sequence[str]
) -> LabelPrompts:
    """Embeds each label: the mean over its name in every template and over its descriptions."""
    prompts = [
        [template.replace("{}", label.words) for template in templates] + list(label.descriptions)
        for label in labels
    ]
    texts = [text for group in prompts for text in group]
    limit = encoder.info.context_length
    counts = iter(encoder.token_counts(texts))
    long = [max(next(counts) for _ in group) for group in prompts]
    notes = tuple(
        f"label {label.name!r}: {tokens} tokens and the encoder reads {limit}; the end was cut"
        for label, tokens in zip(labels, long, strict=True)
        if tokens > limit
    )
    rows = encoder.embed_texts(texts)
    ends = np.cumsum([len(group) for group in prompts])
    parts = np.split(rows, ends[:-1])
    return LabelPrompts(unit_rows(np.stack([part.mean(axis=0) for part in parts])), notes)
