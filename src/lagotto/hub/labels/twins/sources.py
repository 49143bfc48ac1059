"""A hub and how far its labels are believed come in; who teaches whom goes out."""

from dataclasses import asdict
from hashlib import sha256

import numpy as np
from jaxtyping import Int64

from lagotto.core.files import canonical_json
from lagotto.core.types import JsonValue
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.probability import TWINS
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.text.matching import FIRMLY, OPENLY

TWINS_VERSION = 1
"""Of the file of a hub's twins, and of what it depends on."""

KEY_BYTES = 16
"""Of what stands for a model and its responses in that file."""


class TwinSources:
    """What the twins of a hub depend on: its models, and whose labels are believed."""

    def __init__(self, hub: HubReader, trust: LabelTrust) -> None:
        self.hub = hub
        self.trust = trust
        teaching = trust.teaching_models
        self.models = [name for name in teaching if hub.logit_index().column(name, 0) is not None]

    @property
    def index(self) -> LogitIndex:
        """The hub's logits."""
        return self.hub.logit_index()

    def digest(self) -> str:
        """sha256 of everything but the models that are compared with the believed labels."""
        checksums, of_index = self.hub.record_digests(), self._model_keys()
        parts: list[JsonValue] = [
            TWINS_VERSION,
            self.hub.probe_digest,
            canonical_json(asdict(TWINS)).decode(),
        ]
        for model in self.models:
            position = self.position(model)
            believed = sha256(self.trust.believed(model).tobytes()).hexdigest()
            is_reference = model in self.trust.references
            key = of_index[position].hex()
            said = self.trust.audit_key(model) or checksums.get(model, "")
            parts.append([model, key, said, believed, is_reference])
        references = self.trust.references.intersection(self.models)
        if len({self.trust.is_firm(model) for model in references}) > 1:
            parts.append("a reference that a firm one contradicts is not heard")
        return sha256(canonical_json(parts)).hexdigest()

    def keys(self) -> list[bytes]:
        """What identifies each model of the index, with its responses."""
        return [sha256(key).digest()[:KEY_BYTES] for key in self._model_keys()]

    def labelled(self, references: bool, least: float = OPENLY) -> list[tuple[int, int, str]]:
        """(model, column, label) of the believed labels of references, or of all other models.

        `least` is how far a label is believed at least.
        """
        found = []
        for model in self.models:
            if (model in self.trust.references) == references:
                position = self.position(model)
                teaching, first = self.trust.teaching(model), int(self.index.firsts[position])
                teaching = teaching & (self.trust.believed(model) >= least)
                labels = self.index.labels(self.index.digests[position])
                for logit, (label, teaches) in enumerate(zip(labels, teaching, strict=True)):
                    if label is not None and teaches:
                        found.append((position, first + logit, label))
        return found

    def pupils(self, owner: int, references: bool) -> Int64[np.ndarray, " columns"]:
        """The columns of a model that may be twins: none of a reference, nor, unless of references,
        those whose own label is believed."""
        name = self.index.names[self.index.digests[owner]]
        count = int(self.index.outputs(np.array([owner]))[0])
        columns = int(self.index.firsts[owner]) + np.arange(count)
        if name in self.trust.references:
            return columns[:0]
        if references or name not in self.trust.teaching_models:
            return columns
        return columns[self.trust.believed(name) < FIRMLY]

    def position(self, model: str) -> int:
        """The index of a model in the logit index."""
        column = self.index.column(model, 0)
        return int(self.index.owners(np.array([column]))[0])

    def _model_keys(self) -> list[bytes]:
        return [
            f"{m.behaviour_digest} {m.responses_sha256} {m.made_with}".encode()
            for block in self.index.blocks
            for m in block.models
        ]
