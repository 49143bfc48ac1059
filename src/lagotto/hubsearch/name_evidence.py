"""Names × a hub → evidence on its probes; a model → its gallery and what it is measured against."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError, UsageError
from lagotto.core.files import canonical_json, replacing
from lagotto.hubsearch.fit import Surroundings, TextEvidence, gallery_of, text_evidence
from lagotto.hubsearch.pipeline import Hub
from lagotto.hubsearch.vocabulary import background_words

_BATCH = 256
_OUTPUTS_ELSEWHERE = 512
_MODELS_ELSEWHERE = 32
_KEPT_FROM = 500
"""Embeddings of as many names or more are kept in the hub's cache."""


@dataclass(frozen=True, slots=True)
class NamesRead:
    """Names as the hub's encoder reads them: unit embeddings, and the evidence on the probes."""

    embeddings: Float32[np.ndarray, "names dim"]
    evidence: TextEvidence


def read_names(hub: Hub, names: Sequence[str]) -> NamesRead:
    """Each name in the encoder's prompt, embedded, and what it sees on the probes."""
    probes = hub.probe_embeddings
    embeddings = _embedded(hub, names)
    background = _embedded(hub, background_words())
    evidence = text_evidence(
        embeddings @ probes.T, background @ probes.T, hub.encoder.info.logit_scale
    )
    return NamesRead(embeddings, evidence)


def surroundings(
    hub: Hub, model: str, gallery: Float32[np.ndarray, "probes logits"]
) -> Surroundings:
    """Common words, and the model's own outputs with some of up to 32 other models.

    A model of 512 outputs or more is enough for itself.
    """
    words = read_names(hub, background_words()).evidence
    parts = [gallery]
    others = [each for each in hub.status().models if each.name != model]
    others = others[:: max(1, len(others) // _MODELS_ELSEWHERE)][:_MODELS_ELSEWHERE]
    missing = _OUTPUTS_ELSEWHERE - gallery.shape[1]
    for number, other in enumerate(others):
        share = missing // (len(others) - number)
        if share <= 0:
            continue
        columns = np.linspace(0, other.outputs - 1, min(share, other.outputs)).astype(int)
        parts.append(gallery_of(hub.responses(other.name))[:, columns])
        missing -= len(columns)
    return Surroundings(words, np.concatenate(parts, axis=1))


def _embedded(hub: Hub, names: Sequence[str]) -> Float32[np.ndarray, "names dim"]:
    """Unit embeddings of names in the encoder's prompt; long lists are kept in the hub's cache."""
    info = hub.encoder.info
    if info.prompt_template.count("{}") != 1:
        raise UsageError(f"the encoder's template {info.prompt_template!r} needs exactly one {{}}")
    prompts = [info.prompt_template.replace("{}", name) for name in names]
    if len(prompts) < _KEPT_FROM:
        return _embed(hub, prompts)
    key = sha256(canonical_json([info.fingerprint, *prompts])).hexdigest()
    file = hub.folder / "cache" / f"texts-{key[:32]}.npy"
    try:
        kept = np.load(file, allow_pickle=False)
        if kept.shape == (len(prompts), info.dim) and kept.dtype == np.float32:
            return np.asarray(kept)
    except (OSError, ValueError):
        pass  # not there, or of no use: made again
    made = _embed(hub, prompts)
    try:
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, made, allow_pickle=False)
    except (OSError, HubError):
        pass  # a hub that cannot be written to is still described
    return made


def _embed(hub: Hub, prompts: Sequence[str]) -> Float32[np.ndarray, "names dim"]:
    starts = range(0, len(prompts), _BATCH)
    return np.concatenate(
        [hub.encoder.embed_texts(prompts[start : start + _BATCH]) for start in starts]
    )
