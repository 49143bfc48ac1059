"""Labels and prompt templates come in; one unit embedding a label goes out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.arguments.names import named_file
from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_forms.entries import NotNamesError
from lagotto.core.parsing.name_forms.flow import parse_json
from lagotto.core.parsing.not_downloaded import HEAD_BYTES, what_lies_there
from lagotto.core.parsing.text_encoding import NotTextError, decode_text
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


_MAX_FILE_BYTES = 8 << 20
_PLACE = re.compile(
    r"\{\s*(?:c|class|cls|classname|class_name|label|name|category|0)?\s*\}|%s", re.IGNORECASE
)
_OTHER_PLACE = re.compile(r"\{[^{}]*\}|%\(\w+\)s")
_LAMBDA = re.compile(r"""(?:lambda \w+:\s*)?f?(["'])(.*)\1,?""")


@dataclass(frozen=True, slots=True)
class LabelPrompts:
    """One unit embedding a label, the mean over its prompts; `notes` report truncated texts."""

    embeddings: Float32[np.ndarray, "labels dim"]
    notes: tuple[str, ...] = ()


def read_templates(source: str, encoder_template: str) -> tuple[str, ...]:
    """The templates of a named set, of a text file with one a line, or one template itself.

    Args:
        source: The name of a set of TEMPLATES, the path of a file, or a template with one {}.
        encoder_template: The encoder's own template, for the set `single`.

    Raises:
        UsageError: There is no such set or file, or `check_templates` refuses a template.
    """
    if source in TEMPLATES:
        return TEMPLATES[source] or (encoder_template,)
    if (_places(source) or "{" in source) and named_file(source) is None:
        return check_templates([source], "the call")
    path = Path(source).expanduser()
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        known = sorted(TEMPLATES)
        raise UsageError(
            f"templates {source!r}: no such set and no readable text file; sets: "
            f"{', '.join(known)}.{suggest(source, known)}"
        ) from error
    return check_templates(_templates_of(data, path), source)


def check_templates(templates: Sequence[str], source: str) -> tuple[str, ...]:
    """Templates in which {} stands where the name goes.

    The place may also be written {c}, {class}, {classname}, {label}, {name} or %s, as other tools
    write it.

    Args:
        templates: The templates.
        source: Where they are from, for messages.

    Raises:
        UsageError: There is none, or one has no such place, or two.

    Example:
        >>> check_templates(["a photo of a {c}.", "art of %s"], "t.txt")
        ('a photo of a {}.', 'art of {}')
    """
    if not templates:
        raise UsageError(f"templates {source}: an empty list; write one template a line")
    checked = []
    for template in templates:
        if not isinstance(template, str):
            raise UsageError(f"template {template!r} in {source} is no text; give texts with {{}}")
        places = _places(template)
        unknown = _OTHER_PLACE.findall(_PLACE.sub("", template))
        if len(places) != 1 or unknown:
            found = ", ".join([*places, *unknown]) or "none"
            raise UsageError(
                f"template {template[:80]!r} in {source} needs exactly one {{}} where the name "
                f"goes ({{c}}, {{class}}, {{label}}, {{name}} and %s are read, too); it has: "
                f"{found}"
            )
        checked.append(_PLACE.sub("{}", template.strip()))
    return tuple(checked)


def _places(template: str) -> list[str]:
    return [match[0] for match in _PLACE.finditer(template)]


def _templates_of(data: bytes, file: Path) -> list[str]:
    """The templates of a text file, one a line, or of a JSON list of texts."""
    if len(data) > _MAX_FILE_BYTES:
        raise UsageError(f"templates {file} are larger than {_MAX_FILE_BYTES >> 20} MB")
    if data and (instead := what_lies_there(data[:HEAD_BYTES])) is not None:
        raise UsageError(f"templates {file}: the file is {instead}")
    try:
        text = decode_text(data).text
        if file.suffix.lower() == ".json":
            value = parse_json(text)
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise UsageError(f"templates {file}: JSON, but no list of texts; give such a list")
            return [str(item).strip() for item in value]
    except (NotTextError, NotNamesError) as error:
        raise UsageError(f"templates {file} {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [_without_code(line) for line in lines if line not in ("", "[", "]")]


def _without_code(line: str) -> str:
    """The template in a line of a Python list: `lambda c: f'a photo of a {c}.',`."""
    match = _LAMBDA.fullmatch(line)
    return match[2] if match else line


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
