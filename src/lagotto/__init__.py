"""Lagotto: find the image classifier that already knows your concept, by behaviour alone.

The public names are loaded on first use, so that `import lagotto` loads no framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lagotto.core.errors import LagottoError as LagottoError
    from lagotto.core.types import Hit as Hit
    from lagotto.core.types import Hits as Hits
    from lagotto.encoders.registry import load_encoder as load_encoder
    from lagotto.hubsearch.pipeline import Hub as Hub
    from lagotto.hubsearch.query_types import ImageQuery as ImageQuery
    from lagotto.hubsearch.query_types import LogitQuery as LogitQuery
    from lagotto.hubsearch.query_types import TextQuery as TextQuery
    from lagotto.models.registry import load_model as load_model
    from lagotto.specialists.pipeline import Classifier as Classifier
    from lagotto.specialists.pipeline import HubVoice as HubVoice
    from lagotto.zeroshot.caption_store import CaptionStore as CaptionStore

__version__ = "0.1.0"

_HOME = {
    "CaptionStore": "lagotto.zeroshot.caption_store",
    "Classifier": "lagotto.specialists.pipeline",
    "Hit": "lagotto.core.types",
    "Hits": "lagotto.core.types",
    "Hub": "lagotto.hubsearch.pipeline",
    "HubVoice": "lagotto.specialists.pipeline",
    "ImageQuery": "lagotto.hubsearch.search",
    "LagottoError": "lagotto.core.errors",
    "LogitQuery": "lagotto.hubsearch.search",
    "TextQuery": "lagotto.hubsearch.search",
    "load_encoder": "lagotto.encoders.registry",
    "load_model": "lagotto.models.registry",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lagotto' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
