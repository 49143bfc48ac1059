"""A short name comes in; the spec of a published model goes out whose labels teach a hub."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.core.remote.spec import REPOSITORY


@dataclass(frozen=True, slots=True)
class KnownReference:
    """A published classifier with an ONNX export, at a commit, so that its labels never change.

    `megabytes` (10^6 bytes) is the size of the graph that is fetched. `licence` is that of the
    model which was exported, as its own card states it: the card of `microsoft/resnet-18` says
    Apache-2.0, that of the export names this model and no licence.
    """

    name: str
    repository: str
    commit: str
    megabytes: int
    labels: int
    licence: str

    @property
    def spec(self) -> str:
        """What stands for the name."""
        return f"{REPOSITORY}{self.repository}@{self.commit}"


_ROWS = (
    KnownReference(
        *("resnet18", "Xenova/resnet-18", "957422cff86e0c0a2807a472a90cc0e4daf44b18"),
        *(47, 1000, "apache-2.0"),
    ),
)
KNOWN_REFERENCES = {row.name: row for row in _ROWS}
DEFAULT_REFERENCE = "resnet18"
"""Small, free for any use, and with the thousand classes of ImageNet. Chosen by what is published
about it: the Hugging Face Hub could not be reached where this was written."""


def reference_spec(source: str) -> str:
    """The source with a short name written out; a file or folder of that name goes before.

    >>> reference_spec("resnet18").startswith("hf:Xenova/resnet-18@")
    True
    """
    known = KNOWN_REFERENCES.get(source)
    return source if known is None or Path(source).exists() else known.spec
