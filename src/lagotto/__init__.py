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
    from lagotto.hub.hub import Hub as Hub
    from lagotto.hub.query.types import ImageQuery as ImageQuery
    from lagotto.hub.query.types import LogitQuery as LogitQuery
    from lagotto.hub.query.types import TextQuery as TextQuery
    from lagotto.models.registry import load_model as load_model
    from lagotto.specialists.classifier import Classifier as Classifier
    from lagotto.specialists.classifier import HubVoice as HubVoice
    from lagotto.zeroshot.captions.store import CaptionStore as CaptionStore

__version__ = "0.1.0"

_HOME = {
    "CaptionStore": "lagotto.zeroshot.captions.store",
    "Classifier": "lagotto.specialists.classifier",
    "Hit": "lagotto.core.types",
    "Hits": "lagotto.core.types",
    "Hub": "lagotto.hub.hub",
    "HubVoice": "lagotto.specialists.classifier",
    "ImageQuery": "lagotto.hub.query.types",
    "LagottoError": "lagotto.core.errors",
    "LogitQuery": "lagotto.hub.query.types",
    "TextQuery": "lagotto.hub.query.types",
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
