"""Predictions come in; one self-contained HTML page a picture, and an index page, go out."""

import base64
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lagotto.core.errors import PictureError
from lagotto.core.files import replacing, write_atomically, writing
from lagotto.core.images import decode_picture, read_picture_file
from lagotto.core.text.clean import shown
from lagotto.core.types import Skipped
from lagotto.zeroshot.types import NONE_OF_THESE, ModelVote, Prediction

INDEX_NAME = "index.html"
_BARS = 8
_SIDE = 480
_THUMBNAIL = 96

_TAIL = "</body></html>\n"
_INDEX_HEAD = (
    "<h1>Classified pictures</h1><table><tr><th></th><th>picture</th><th>label</th>"
    "<th>image alone</th><th>captions' weight</th><th>models' weight</th></tr>\n"
)
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--bar:#b9773b;--own:#7a8b99}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1rem;margin:1.2rem 0 .4rem}
.top{display:flex;gap:2rem;flex-wrap:wrap}.top>*{flex:1 1 20rem;min-width:0}
img{max-width:100%;height:auto;border-radius:6px}p{margin:.3rem 0;overflow-wrap:anywhere}
.charts{display:flex;gap:2rem;flex-wrap:wrap}.charts section{flex:1 1 20rem;min-width:0}
.row{display:grid;grid-template-columns:minmax(0,9rem) 1fr 3.2rem;gap:.5rem;align-items:center}
.row span:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.track{background:var(--line);height:.8rem;border-radius:3px}
.track i{display:block;height:100%;border-radius:3px;background:var(--bar)}
.own .track i{background:var(--own)}.number{text-align:right;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem .25rem 0;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.quiet{opacity:.7}
"""


class ExplainPages:
    """Writes pages into a folder, prediction by prediction; a context manager.

    Leaving the `with` block completes the index page. All text from the user's files is escaped.
    Memory does not grow with the number of pictures.
    """

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        self._folder = folder
        self._labels = tuple(labels)
        self._count = 0
        self._open = ExitStack()

    def __enter__(self) -> "ExplainPages":
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._open.enter_context(replacing(self._folder / INDEX_NAME))
        self._index = self._open.enter_context(temporary.open("w", encoding="utf-8"))
        self._index.write(_head("Classified pictures") + _INDEX_HEAD)
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._index.write("</table>" + _TAIL)
            self._index.flush()
        self._open.__exit__(*error)

    def add(self, row: Prediction | Skipped, why: Mapping[str, str] | None = None) -> None:
        """Writes the page of a prediction, or an index row for a picture that could not be read.

        Args:
            row: The prediction, or why the picture could not be read.
            why: The reasons for each model that voted, by its name.
        """
        self._count += 1
        if isinstance(row, Skipped):
            self._index.write(
                f"<tr><td></td><td>{_escaped(row.source)}</td>"
                f'<td colspan="4" class="quiet">{_escaped(row.reason)}</td></tr>\n'
            )
            return
        name = f"{self._count:06d}.html"
        picture = _picture(row.path)
        page = render_page(row, self._labels, _data_uri(picture, _SIDE), why or {})
        write_atomically(self._folder / name, page.encode("utf-8"))
        thumbnail = _data_uri(picture, _THUMBNAIL)
        self._index.write(
            f'<tr><td>{_image(thumbnail)}</td><td><a href="{name}">{_escaped(row.path)}</a></td>'
            f"<td>{_escaped(self._answer(row))}</td>"
            f"<td>{_escaped(self._best(row.image_only))}</td>"
            f"<td>{row.weights[1]:.2f}</td><td>{row.hub_weight:.2f}</td></tr>\n"
        )

    def _answer(self, row: Prediction) -> str:
        """The best label, or none, with a remark where none fits."""
        if row.rejected:
            return f"{NONE_OF_THESE} {row.none:.2f}"
        return " - ".join(filter(None, (self._best(row.probabilities), row.none_remark)))

    def _best(self, probabilities: np.ndarray) -> str:
        best = int(probabilities.argmax())
        return f"{self._labels[best]} {probabilities[best]:.2f}"


def _escaped(text: str) -> str:
    """A text for a page: cut where it is long, with the marks of HTML escaped."""
    return escape(shown(text))


def render_page(
    row: Prediction, labels: Sequence[str], picture: str, why: Mapping[str, str] | None = None
) -> str:
    """Renders the page of one prediction.

    Args:
        row: The prediction.
        labels: The names of the labels.
        picture: The picture as a data URI; empty for none.
        why: The reasons for each model that voted, by its name.
    """
    best = int(row.probabilities.argmax())
    chosen = np.argsort(-np.maximum(row.probabilities, row.image_only), kind="stable")[:_BARS]
    order = chosen[np.argsort(-row.probabilities[chosen], kind="stable")]
    weights = f"image {row.weights[0]:.2f}, captions {row.weights[1]:.2f}"
    if row.votes:
        weights += f", models {row.hub_weight:.2f}"
    if row.declined:
        weights = f"{weights}; " if row.votes else ""
        weights += f"captions declined: {row.declined}"
    captions = "".join(
        f'<tr><td class="number">{caption.similarity:.3f}</td>'
        f"<td>{_escaped(caption.text)}</td></tr>"
        for caption in row.captions
    )
    table = (
        f"<h2>Captions found, by their cosine with the picture</h2><table>{captions}</table>"
        if row.captions
        else ""
    )
    title = NONE_OF_THESE if row.rejected else labels[best]
    body = (
        f'<div class="top"><div>{_image(picture)}</div><div><h1>{_escaped(title)}</h1>'
        f"<p>probability {row.none if row.rejected else row.probabilities[best]:.3f}</p>"
        f'<p class="quiet">{_escaped(row.path)}</p>{_none_line(row)}'
        f"<p>weights: {_escaped(weights)}</p>"
        f'<p><a href="{INDEX_NAME}">all pictures</a></p></div></div><div class="charts">'
        f"{_chart('together', row.probabilities, labels, order, '')}"
        f"{_chart('image alone', row.image_only, labels, order, 'own')}"
        f"{''.join(_vote(vote, labels, order, why or {}) for vote in row.votes)}</div>"
        f"{_suggested(row)}{table}"
    )
    return _head(f"{title}: {Path(row.path).name}") + body + _TAIL


def _none_line(row: Prediction) -> str:
    """How likely none of the labels fits, and the remark if that is likely."""
    remark = f": {row.none_remark}" if row.none_remark else ""
    return f"<p>none of these {row.none:.3f}{_escaped(remark)}</p>"


def _suggested(row: Prediction) -> str:
    """The table of what the picture may be beside the labels."""
    rows = "".join(
        f'<tr><td class="number">{each.probability:.3f}</td><td>{_escaped(each.name)}</td>'
        f"<td>{_escaped(each.model) or f'{each.captions} captions'}</td></tr>"
        for each in row.suggestions
    )
    return f"<h2>Beside the labels</h2><table>{rows}</table>" if rows else ""


def _vote(vote: ModelVote, labels: Sequence[str], order: np.ndarray, why: Mapping[str, str]) -> str:
    """The chart of a model's vote, with its weight, its rest, and the reasons for the model."""
    remark = f"weight {vote.weight:.2f}, leaves {vote.rest:.2f} for labels that it does not know"
    if vote.model in why:
        remark += f"; {why[vote.model]}"
    chart = _chart(vote.model, vote.probabilities, labels, order, "own")
    return chart.replace("</section>", f'<p class="quiet">{_escaped(remark)}</p></section>')


def _chart(
    title: str, probabilities: np.ndarray, labels: Sequence[str], order: np.ndarray, kind: str
) -> str:
    """A bar chart; all charts of a page have the same labels in the same order, best first."""
    bars = "".join(
        f'<div class="row"><span title="{_escaped(labels[i])}">{_escaped(labels[i])}</span>'
        f'<span class="track"><i style="width:{100 * float(probabilities[i]):.1f}%"></i></span>'
        f'<span class="number">{float(probabilities[i]):.3f}</span></div>'
        for i in order
    )
    return f'<section class="{kind}"><h2>{_escaped(title)}</h2>{bars}</section>'


def _picture(path: str) -> Image.Image | None:
    """The picture; None if it can no longer be read."""

    try:
        return decode_picture(read_picture_file(Path(path)))
    except PictureError:
        return None


def _data_uri(picture: Image.Image | None, side: int) -> str:
    if picture is None:
        return ""
    small = picture.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _image(uri: str) -> str:
    return f'<img src="{uri}" alt="">' if uri else ""


def _head(title: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_escaped(title)}</title><style>{_STYLE}</style></head><body>"
    )
