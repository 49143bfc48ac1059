"""The page of a classification: what it shows of the answer that scripts get."""

import re

from lagotto.web.pages.rendering import make_templates
from lagotto.web.views.classify import classify_page

ROW = {
    "path": "a.png",
    "label": "dog",
    "probabilities": [0.2, 0.5, 0.3],
    "image_only": {"label": "cat", "probabilities": [0.7, 0.2, 0.1]},
    "weights": {"image": 1.0, "captions": 0.0},
    "captions": [],
    "none": 0.8,
    "suggestions": [{"name": "hare", "probability": 0.9, "captions": 0, "model": None}],
}


def test_the_first_bar_is_the_answer_and_the_page_marks_it() -> None:
    labels = ["cat", "dog", "fox"]
    page = classify_page({"labels": labels, "images": [ROW], "digests": ["0"], "notes": []})
    (picture,) = page.pictures
    assert [bar.label for bar in picture.charts[0].bars] == ["dog", "fox", "cat"]
    assert [bar.probability for bar in picture.charts[1].bars] == [0.2, 0.1, 0.7]
    assert picture.none_remark == "Probably none of these (0.80): it looks like hare"
    context = {"page": page, "digests": [], "text": "", "error": "", "has_captions": False}
    shared = {"hub_name": "", "version": "", "pages": (), "current": "", "has_pictures": True}
    text = make_templates().get_template("classify.html").render({**context, **shared})
    (marked,) = re.findall(r'class="bar good"[^>]* aria-label="([^"]*)"', text)
    assert marked == "probability 0.50"
