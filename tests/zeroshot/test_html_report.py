"""The HTML evidence of predictions."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from caption_world import write_picture
from lagotto.core.errors import HubError
from lagotto.core.types import Skipped
from lagotto.zeroshot.html_report import (
    INDEX_NAME,
    ExplainPages,
    render_page,
)
from lagotto.zeroshot.types import Prediction, RetrievedCaption

NASTY = "<script>alert('&')</script>\"'"


def prediction(path: Path | str, declined: str = "") -> Prediction:
    return Prediction(
        path=str(path),
        probabilities=np.array([0.7, 0.3]),
        image_only=np.array([0.4, 0.6]),
        weights=(0.8, 0.2),
        captions=(RetrievedCaption(3, NASTY, 0.31),),
        declined=declined,
    )


class Tags(HTMLParser):
    """Collects tags, and every attribute that could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.said: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_everything_is_escaped_and_self_contained() -> None:
    page = render_page(prediction(NASTY, declined=NASTY), [NASTY, "dog"], "")
    found = Tags(page)
    assert "script" not in found.tags
    assert found.said.count(NASTY) >= 3
    assert found.loads == [INDEX_NAME]


def test_pages_and_index(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png", 1)
    with ExplainPages(tmp_path / "pages", ["cat", "dog"]) as pages:
        pages.add(prediction(picture))
        pages.add(Skipped("broken.png", "damaged: <b>"))
        pages.add(prediction(tmp_path / "gone.png"))
    files = sorted(file.name for file in (tmp_path / "pages").iterdir())
    assert files == ["000001.html", "000003.html", INDEX_NAME]
    page = Tags((tmp_path / "pages" / "000001.html").read_text(encoding="utf-8"))
    assert {"together", "image alone", "0.700", "0.400", "0.310"} <= set(page.said)
    assert page.loads[0].startswith("data:image/jpeg;base64,")
    index = Tags((tmp_path / "pages" / INDEX_NAME).read_text(encoding="utf-8"))
    assert "damaged: <b>" in index.said
    assert [load for load in index.loads if load.endswith(".html")] == [
        "000001.html",
        "000003.html",
    ]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render_page(prediction("x"), ["a", "b"], "") == render_page(
        prediction("x"), ["a", "b"], ""
    )


def test_a_run_that_fails_leaves_no_index(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ExplainPages(tmp_path / "pages", ["cat", "dog"]):
        raise RuntimeError
    assert list((tmp_path / "pages").iterdir()) == []


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("x")
    with (
        pytest.raises(HubError, match="cannot write"),
        ExplainPages(tmp_path / "pages", ["a", "b"]),
    ):
        pass


def test_bars_are_those_of_the_answer_best_first() -> None:
    together, alone = np.array([0.2, 0.5, 0.3]), np.array([0.7, 0.2, 0.1])
    row = Prediction("a.png", together, alone, (1.0, 0.0), ())
    said = Tags(render_page(row, ["cat", "dog", "fox"], "")).said
    for start in (said.index("together"), said.index("image alone")):
        assert [each for each in said[start:] if each in ("cat", "dog", "fox")][:3] == [
            *("dog", "fox", "cat")
        ]
