"""A short name comes in; the spec of a published encoder goes out: one line of a table a name.

Sizes are those of the exact towers by their number of parameters, 4 bytes each; before a download
the size that the hub lists is told. No commit is written here: it is resolved at the first fetch
and recorded in the hub that is made.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.remote.spec import REPOSITORY
from lagotto.core.sources.bundled import BUNDLED, bundled_encoder
from lagotto.encoders.layout import VARIANTS

MARK = "#"
"""Between a repository, a folder or a short name and a precision."""

_PRECISION = re.compile(r"[a-z0-9]{2,10}")


@dataclass(frozen=True, slots=True)
class KnownEncoder:
    """A published dual encoder with an ONNX export.

    `megabytes` (10^6 bytes) is about the size of both towers. `imagenet` is its zero-shot accuracy
    on ImageNet in percent, as `source` published it.
    """

    name: str
    repository: str
    revision: str
    megabytes: int
    licence: str
    imagenet: float
    source: str

    @property
    def spec(self) -> str:
        """What stands for the name."""
        at = "" if self.revision == "main" else f"@{self.revision}"
        return f"{REPOSITORY}{self.repository}{at}"


_ROWS = (
    KnownEncoder(
        *("siglip", "Xenova/siglip-base-patch16-224", "main", 812, "apache-2.0", 76.2),
        "SigLIP 2 paper, table 1 (SigLIP B/16, 224)",
    ),
    KnownEncoder(
        *("siglip2", "onnx-community/siglip2-base-patch16-224-ONNX", "main", 1500, "apache-2.0"),
        *(78.2, "SigLIP 2 paper, table 1 (B/16, 224)"),
    ),
    KnownEncoder(
        *("clip", "Xenova/clip-vit-base-patch32", "main", 605, "mit", 63.2),
        "CLIP paper, table 11 (ViT-B/32)",
    ),
    KnownEncoder(
        *("clip-large", "Xenova/clip-vit-large-patch14", "main", 1710, "mit", 75.3),
        "CLIP paper, table 11 (ViT-L/14)",
    ),
)
KNOWN_ENCODERS = {row.name: row for row in _ROWS}
DEFAULT_ENCODER = "siglip"
"""Of those that may be used for anything, the one that needs least memory for its accuracy."""


def full_spec(spec: str) -> str:
    """The spec with a short name written out; a folder of that name goes before.

    >>> full_spec("clip#fp16")
    'hf:Xenova/clip-vit-base-patch32#fp16'
    """
    name, mark, precision = spec.partition(MARK)
    if Path(spec).exists() or Path(name).is_dir():
        return spec
    if name == BUNDLED:
        return f"{bundled_encoder()}{mark}{precision}"
    known = KNOWN_ENCODERS.get(name)
    if known is None:
        return spec
    return f"{known.spec}{mark}{precision}"


def split_precision(spec: str) -> tuple[str, str | None]:
    """A spec without its precision, and the precision; None where it asks for none.

    >>> split_precision("hf:org/name@main#quantized")
    ('hf:org/name@main', 'quantized')

    Raises:
        UsageError: There is no such precision.
    """
    place, mark, precision = spec.rpartition(MARK)
    if not mark or Path(spec).exists() or not _PRECISION.fullmatch(precision):
        return spec, None
    if precision not in VARIANTS:
        raise UsageError(
            f"encoder {spec!r}: no precision {precision!r}; give one of "
            f"{', '.join(f'{MARK}{name}' for name in VARIANTS)}, or none for the most exact"
        )
    return place, precision
