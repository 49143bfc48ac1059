"""A short name comes in; the spec of a published model goes out whose labels teach a hub."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.core.remote.spec import REPOSITORY


@dataclass(frozen=True, slots=True)
class KnownReference:
    """A published classifier with an ONNX export, at a commit, so that its labels never change.

    `megabytes` (10^6 bytes) is the size of the graph that is fetched. The card of the repository
    states no licence; it names the model that was exported, `origin`, whose card states `licence`.
    """

    name: str
    repository: str
    commit: str
    megabytes: int
    labels: int
    origin: str
    licence: str

    @property
    def spec(self) -> str:
        """What stands for the name."""
        return f"{REPOSITORY}{self.repository}@{self.commit}"

    @property
    def facts(self) -> str:
        """What a user has to know before it is fetched: its size, and whose the licence is."""
        return (
            f"{self.megabytes} MB, {self.labels:,} labels; its card states no licence, that of "
            f"{self.origin}, which it exports, says {self.licence}"
        )


_ROWS = (
    KnownReference(
        *("resnet18", "Xenova/resnet-18", "957422cff86e0c0a2807a472a90cc0e4daf44b18"),
        *(47, 1000),
        *("microsoft/resnet-18", "apache-2.0"),
    ),
)
KNOWN_REFERENCES = {row.name: row for row in _ROWS}
DEFAULT_REFERENCE = "resnet18"
"""Small, with the thousand classes of ImageNet, and an export of a network that is free for any
use. Chosen by what is published about it: the Hugging Face Hub could not be reached where this was
written."""


def reference_spec(source: str) -> str:
    """The source with a short name written out; a file or folder of that name goes before.

    >>> reference_spec("resnet18").startswith("hf:Xenova/resnet-18@")
    True
    """
    known = KNOWN_REFERENCES.get(source)
    return source if known is None or Path(source).exists() else known.spec
