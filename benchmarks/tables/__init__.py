"""Every table of docs/results.md and benchmarks/notes: a file a topic, its functions in TABLES."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def topics() -> list[ModuleType]:
    """The modules of this folder that make tables."""
    names = sorted(each.name for each in iter_modules(__path__))
    found = [import_module(f"{__name__}.{name}") for name in names]
    return [module for module in found if hasattr(module, "TABLES")]
