"""A template and a context come in; a page goes out, with the text of strangers escaped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from lagotto import __version__
from lagotto.web.problems import without_paths
from lagotto.web.views.marks import few

_TEMPLATES = Path(__file__).parent.parent / "templates"

PAGES = (
    ("/", "Search"),
    ("/map", "Map"),
    ("/cover", "Cover"),
    ("/classify", "Classify"),
    ("/audit", "Audit"),
    ("/duplicates", "Duplicates"),
    ("/status", "Status"),
)
"""The pages of the menu: their address and name."""


def make_templates() -> Environment:
    """The templates; values are escaped, and a name that a context lacks is an error."""
    templates = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["without_paths"] = without_paths
    templates.filters["sentence"] = sentence
    templates.filters["few"] = few
    return templates


def sentence(text: str) -> str:
    """A line of ours as a sentence of a page: its first letter is large.

    Example:
        >>> sentence("no output is so called")
        'No output is so called'
    """
    return text[:1].upper() + text[1:]


class PageWriter:
    """Writes pages of one hub.

    Args:
        hub_name: The hub's name for readers.
    """

    def __init__(self, hub_name: str) -> None:
        self._templates = make_templates()
        self._shared = {"hub_name": hub_name, "version": __version__, "pages": PAGES}

    def text(self, template: str, context: Mapping[str, Any]) -> str:
        """The text of a template."""
        return self._templates.get_template(template).render({**self._shared, **context})

    def page(
        self, template: str, current: str, context: Mapping[str, Any], status: int = 200
    ) -> HTMLResponse:
        """A page.

        Args:
            template: The name of its template.
            current: The address in the menu that it belongs to.
            context: What the template reads.
            status: The HTTP status.
        """
        text = self.text(template, {"current": current, **context})
        return HTMLResponse(text, status)
