"""Draws docs/images/words-to-outputs.svg: two ways from a word to an output without a label.

    python scripts/draw_words_to_outputs.py

The shares are those of benchmarks/results/quality_references.json. Bars are drawn, not measured.
"""

import json
import math
from pathlib import Path

from lagotto.core.files import write_atomically

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/quality_references.json"
FIGURE = ROOT / "docs/images/words-to-outputs.svg"
WIDTH, HEIGHT = 900, 420
INK, SOFT, WEAK, CLEAR = "#222222", "#8a8a8a", "#c9a227", "#1e8c3c"
STYLE = "font-family='Helvetica, Arial, sans-serif'"


def main() -> None:
    found = json.loads(RESULT.read_text())["one reference"]
    rows = [row["imagenet"] for row in found.values()]
    shares = {
        way: round(100 * sum(row[way]["odd"] for row in rows) / len(rows))
        for way in ("behaviour", "taught")
    }
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' {STYLE}>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>",
        "<title>Two ways from the word daisy to an output that has no label</title>",
        *box(30, 165, 130, 70, "“daisy”", "what is sought"),
        *box(700, 165, 170, 70, "output 17", "no label, model unknown"),
        *box(330, 40, 200, 70, "pictures", "how near to the word?"),
        *arrow(160, 180, 330, 85, WEAK, 3),
        *arrow(530, 85, 700, 180, WEAK, 3),
        *text(430, 24, "by the encoder: few probes show a daisy", SOFT, 14),
        *text(800, 60, f"{shares['behaviour']} of 100 right", WEAK, 19, "bold"),
        *box(240, 285, 160, 70, "output 985", "of a reference: `daisy`"),
        *arrow(120, 235, 240, 310, CLEAR, 4),
        *text(125, 292, "same word", CLEAR, 14),
        *arrow(640, 310, 760, 235, CLEAR, 4),
        *bars(430, 320, 0),
        *text(528, 338, "≈", CLEAR, 22),
        *bars(545, 320, 1),
        *text(525, 370, "both answer all probes alike", CLEAR, 14),
        *text(800, 310, f"{shares['taught']} of 100 right", CLEAR, 19, "bold"),
        *text(
            WIDTH // 2,
            405,
            "One labelled ImageNet model in the hub; 1,239 photos that were never meant for it.",
            SOFT,
            13,
        ),
        "</svg>",
    ]
    write_atomically(FIGURE, ("\n".join(parts) + "\n").encode())
    print(FIGURE.relative_to(ROOT))


def box(left: int, top: int, width: int, height: int, title: str, line: str) -> list[str]:
    middle = left + width // 2
    return [
        f"<rect x='{left}' y='{top}' width='{width}' height='{height}' rx='8' fill='#f6f3ec' "
        f"stroke='{INK}'/>",
        *text(middle, top + 30, title, INK, 18, "bold"),
        *text(middle, top + 53, line, SOFT, 13),
    ]


def text(x: int, y: int, words: str, colour: str, size: int, weight: str = "normal") -> list[str]:
    return [
        f"<text x='{x}' y='{y}' fill='{colour}' font-size='{size}' font-weight='{weight}' "
        f"text-anchor='middle'>{words}</text>"
    ]


def arrow(x: int, y: int, to_x: int, to_y: int, colour: str, width: int) -> list[str]:
    angle = math.atan2(to_y - y, to_x - x)
    back = [
        f"{to_x - 12 * math.cos(angle + turn):.0f},{to_y - 12 * math.sin(angle + turn):.0f}"
        for turn in (-0.45, 0.45)
    ]
    end_x, end_y = to_x - 8 * math.cos(angle), to_y - 8 * math.sin(angle)
    return [
        f"<line x1='{x}' y1='{y}' x2='{end_x:.0f}' y2='{end_y:.0f}' stroke='{colour}' "
        f"stroke-width='{width}'/>",
        f"<polygon points='{to_x},{to_y} {' '.join(back)}' fill='{colour}'/>",
    ]


def bars(left: int, base: int, seed: int) -> list[str]:
    """A descriptor: the same profile for both outputs, a little different."""
    parts = []
    for place in range(12):
        height = 6 + 34 * abs(math.sin(1.7 * place + 0.4)) ** 3 + 3 * math.sin(5 * place + 9 * seed)
        top = base + 20 - max(3, height)
        parts.append(
            f"<rect x='{left + 7 * place}' y='{top:.0f}' width='5' "
            f"height='{max(3, height):.0f}' fill='{CLEAR}'/>"
        )
    return parts


if __name__ == "__main__":
    main()
