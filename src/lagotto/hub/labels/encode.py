"""Names and a hub in, their evidence on its probes and the reference of a model's outputs out."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from jaxtyping import Float32, Shaped

from lagotto.core.errors import HubError, UsageError
from lagotto.core.files import canonical_json
from lagotto.core.types import JsonObject
from lagotto.encoders.background.words import background_words
from lagotto.hub.labels.fit import (
    OutputPool,
    Reference,
    TextEvidence,
    standardized_responses,
    text_evidence,
)
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.tensorfile import Array, open_derived, write_tensors

_BATCH = 256
_OUTPUTS_ENOUGH = 512
_MODELS_ELSEWHERE = 32
_FORMAT, _VERSION = "lagotto-texts", 1
_KEPT_FROM = 500
"""Embeddings of as many names or more are kept in the hub's cache."""


@dataclass(frozen=True, slots=True)
class EncodedLabels:
    """Names as the hub's encoder reads them: unit embeddings, and the evidence on the probes."""

    embeddings: Float32[np.ndarray, "names dim"]
    evidence: TextEvidence


class LabelEncoder:
    """Encodes names and models against one hub; what all of them share is made once.

    Args:
        hub: The hub.
        embedded: Unit embeddings of names in the encoder's prompt that are known already.
    """

    def __init__(
        self, hub: HubReader, embedded: Mapping[str, Float32[np.ndarray, " dim"]] | None = None
    ) -> None:
        self._hub = hub
        self._known = embedded or {}

    def read(self, names: Sequence[str]) -> EncodedLabels:
        """Each name in the encoder's prompt, embedded, and what it sees on the probes."""
        known = [row for name in names if (row := self._known.get(name)) is not None]
        is_known = 0 < len(known) == len(names)
        embeddings = np.stack(known) if is_known else _embedded(self._hub, names)
        return EncodedLabels(embeddings, text_evidence(self._hub.space, embeddings))

    def reference(
        self, model: str, standardized: Float32[np.ndarray, "probes logits"]
    ) -> Reference:
        """Common words, and the model's own outputs with some of up to 32 other models.

        A model of 512 outputs or more is enough for itself.
        """
        if standardized.shape[1] >= _OUTPUTS_ENOUGH:
            return Reference(self._words, standardized)
        pool, owners = self._elsewhere
        return Reference(self._words, standardized, pool, owners != model)

    @cached_property
    def _words(self) -> TextEvidence:
        return text_evidence(self._hub.space, self._hub.space.background)

    @cached_property
    def _elsewhere(self) -> tuple[OutputPool, Shaped[np.ndarray, " outputs"]]:
        """Some outputs of some models of the hub, evenly taken, and the name of each one's model.

        They do not depend on the model that is compared with them: it leaves out its own.
        """
        models = self._hub.records()
        outputs, owners = [], []
        for model in models[:: max(1, len(models) // _MODELS_ELSEWHERE)][:_MODELS_ELSEWHERE]:
            count = min(model.outputs, _OUTPUTS_ENOUGH // _MODELS_ELSEWHERE)
            columns = np.linspace(0, model.outputs - 1, count).astype(int)
            outputs.append(standardized_responses(self._hub.responses(model.name))[:, columns])
            owners += [model.name] * count
        if not outputs:
            outputs = [np.zeros((len(self._hub.probe_embeddings), 0), np.float32)]
        return OutputPool(self._words, np.concatenate(outputs, axis=1)), np.array(owners, np.str_)


def _embedded(hub: HubReader, names: Sequence[str]) -> Float32[np.ndarray, "names dim"]:
    """Unit embeddings of names in the encoder's prompt; long lists are kept in the hub's cache."""
    info = hub.encoder.info
    if info.prompt_template.count("{}") != 1:
        raise UsageError(f"the encoder's template {info.prompt_template!r} needs exactly one {{}}")
    prompts = [info.prompt_template.replace("{}", name) for name in names]
    if tuple(names) == background_words():
        return hub.space.background
    if len(prompts) < _KEPT_FROM:
        return _embed(hub, prompts)
    key = sha256(canonical_json([info.fingerprint, *prompts])).hexdigest()
    file = HubLayout(hub.folder).text_cache(key[:32])
    shape = (len(prompts), info.dim)
    try:
        stored = open_derived(file, _FORMAT, _VERSION).arrays["embeddings"]
        if stored.shape == shape and stored.dtype == np.float32:
            return np.array(stored)
    except (HubError, KeyError):
        pass  # not there, or of no use: made again
    made = _embed(hub, prompts)

    def fill(arrays: Mapping[str, Array]) -> None:
        arrays["embeddings"][...] = made

    with suppress(OSError, HubError):  # a hub that cannot be written to is still described
        header: JsonObject = {"format": _FORMAT, "version": _VERSION}
        write_tensors(file, header, {"embeddings": ("F32", shape)}, fill)
        file.with_suffix(".npy").unlink(missing_ok=True)  # as older versions wrote it
    return made


def _embed(hub: HubReader, prompts: Sequence[str]) -> Float32[np.ndarray, "names dim"]:
    starts = range(0, len(prompts), _BATCH)
    return np.concatenate(
        [hub.encoder.embed_texts(prompts[start : start + _BATCH]) for start in starts]
    )
