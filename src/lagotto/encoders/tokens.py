"""Texts come in; token ids, truncated and padded as in the training of the tower, go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from jaxtyping import Int64
from tokenizers import Tokenizer

from lagotto.core.errors import EncoderError, reason
from lagotto.core.files import read_json
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.types import JsonObject, JsonValue
from lagotto.encoders.folder import EncoderSettings

_LONGEST_CONTEXT = 32_768
_CASED = "A Violin, THE DOG and Zürich"
_GENERATION_DEFAULT = 20
"""`max_length` of text generation, which older exports write into every text_config."""

_FAMILY_CONTEXTS = {"clip": 77, "siglip": 64, "bert": 512}
"""Context lengths that transformers uses if config.json has none."""


@dataclass(frozen=True, slots=True)
class TextRules:
    """How texts are truncated and padded; lengths are in tokens.

    Every text is padded to `padded_length`; None pads to the longest of a batch. If `full_mask`,
    the tower attends to padding, as in the training of SigLIP.
    """

    context_length: int
    padded_length: int | None
    full_mask: bool
    pad_id: int
    pad_side: str
    lower_case: bool = False
    """Whether texts are lower-cased before the tokenizer, which itself would keep case."""

    def canonical(self) -> JsonValue:
        """The rules as JSON, for the fingerprint."""
        rules: list[JsonValue] = [
            self.context_length,
            self.padded_length,
            self.full_mask,
            self.pad_id,
            self.pad_side,
        ]
        return [*rules, "lower-case"] if self.lower_case else rules


@dataclass(frozen=True, slots=True)
class Tokens:
    """A batch for the text tower."""

    ids: Int64[np.ndarray, "texts tokens"]
    mask: Int64[np.ndarray, "texts tokens"]


class TextTokenizer:
    """A tokenizer.json with the rules of its text tower."""

    def __init__(self, tokenizer: Tokenizer, rules: TextRules) -> None:
        self.rules = rules
        self._tokenizer = tokenizer
        self._lock = Lock()

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Ids and mask; truncation keeps the closing special token."""
        rules = self.rules
        with self._lock:
            self._tokenizer.enable_truncation(rules.context_length)
            self._tokenizer.enable_padding(
                direction=rules.pad_side, pad_id=rules.pad_id, length=rules.padded_length
            )
            encodings = self._tokenizer.encode_batch(self._prepare(texts))
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        if ids.shape[1] == 0:  # nothing but empty texts, and no special tokens
            ids = np.full((len(texts), 1), rules.pad_id, np.int64)
            return Tokens(ids, np.ones_like(ids))
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        return Tokens(ids, np.ones_like(mask) if rules.full_mask else mask)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text before truncation, special tokens included."""
        with self._lock:
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            encodings = self._tokenizer.encode_batch(self._prepare(texts))
        return [len(encoding.ids) for encoding in encodings]

    def _prepare(self, texts: Sequence[str]) -> list[str]:
        """The texts in the form in which the tower was trained on them."""
        readable = _readable(texts)
        return [text.lower() for text in readable] if self.rules.lower_case else readable


def _readable(texts: Sequence[str]) -> list[str]:
    """The texts, with "?" for characters that cannot be encoded, such as lone surrogates."""
    return [text.encode(errors="replace").decode() for text in texts]


def read_tokenizer(
    folder: EncoderSettings, takes_mask: bool, graph_length: int | None
) -> TextTokenizer:
    """The tokenizer of a folder for a text graph.

    `graph_length` is the number of tokens that the graph fixes, if it does. A graph that takes no
    mask sees its padding, so each text is padded to one length, whatever its neighbours.
    """
    content = read_json(folder.tokenizer, "tokenizer", EncoderError)
    tokenizer = _load(folder.tokenizer)
    context = _context_length(folder, content, graph_length)
    padded = graph_length or (context if folder.is_siglip or not takes_mask else None)
    padding = content.get("padding")
    side = padding.get("direction") if isinstance(padding, dict) else None
    return TextTokenizer(
        tokenizer,
        TextRules(
            context_length=context,
            padded_length=padded,
            full_mask=folder.is_siglip,
            pad_id=_pad_id(folder, tokenizer, padding),
            pad_side=str(side or "right").lower(),
            lower_case=_trained_on_lower_case(folder) and _keeps_case(tokenizer),
        ),
    )


def _trained_on_lower_case(folder: EncoderSettings) -> bool:
    """Whether the files say that the tower was trained on lower-cased text.

    SigLIP and SigLIP 2 were, and so was CLIP; the tokenizer.json of some exports leaves it out.
    """
    stated = folder.tokenizer_config.get("do_lower_case")
    if isinstance(stated, bool):
        return stated
    tokenizer_class = str(folder.tokenizer_config.get("tokenizer_class") or "")
    return folder.is_siglip or tokenizer_class.startswith("CLIPTokenizer")


def _keeps_case(tokenizer: Tokenizer) -> bool:
    """Whether upper-case letters give other tokens than lower-case ones."""
    cased, lower = ([*tokenizer.encode(text).ids] for text in (_CASED, _CASED.lower()))
    return cased != lower


def _load(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_buffer(file.read_bytes())
    except ValueError as error:
        instead = what_lies_at(file)
        if instead is not None:
            raise EncoderError(f"{file} is {instead}") from error
        raise EncoderError(f"{file}: {reason(error)}; download it again") from error


def _context_length(folder: EncoderSettings, content: JsonObject, graph_length: int | None) -> int:
    """The smallest plausible length among those that the files state."""
    text = {**folder.section("text_cfg"), **folder.section("text_config")}
    truncation = content.get("truncation")
    longest = text.get("max_length", folder.config.get("max_length"))
    stated = [
        graph_length,
        text.get("max_position_embeddings", folder.config.get("max_position_embeddings")),
        None if longest == _GENERATION_DEFAULT else longest,
        text.get("context_length"),
        folder.tokenizer_config.get("model_max_length"),
        truncation.get("max_length") if isinstance(truncation, dict) else None,
    ]
    sane = [length for value in stated if (length := _length(value)) is not None]
    if sane:
        return min(sane)
    if folder.is_siglip:
        return _FAMILY_CONTEXTS["siglip"]
    family = str(text.get("model_type") or folder.model_type).partition("_")[0]
    if family not in _FAMILY_CONTEXTS:
        raise EncoderError(
            f"{folder.path}: nothing states the longest text in tokens; add "
            'model_max_length to tokenizer_config.json, such as {"model_max_length": 77}'
        )
    return _FAMILY_CONTEXTS[family]


def _length(value: JsonValue) -> int | None:
    """A plausible number of tokens, else None; exports write 1e30 if they know none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 2 < value <= _LONGEST_CONTEXT else None


def _pad_id(folder: EncoderSettings, tokenizer: Tokenizer, padding: JsonValue) -> int:
    """The id of the padding token: from tokenizer.json, else its name, else config.json, else 0."""
    if isinstance(padding, dict) and isinstance(padding.get("pad_id"), int):
        return int(str(padding["pad_id"]))
    token = folder.tokenizer_config.get("pad_token")
    name = token.get("content") if isinstance(token, dict) else token
    if isinstance(name, str) and (named := tokenizer.token_to_id(name)) is not None:
        return named
    for settings in (folder.section("text_config"), folder.config):
        stated = settings.get("pad_token_id")
        if isinstance(stated, int):
            return stated
    return 0
