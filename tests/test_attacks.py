"""Files made to harm: none executes, leaves its folder, hangs, or takes another model down."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import colour_world
from attack_hubs import HUB_ATTACKS
from attack_models import NASTY
from attack_run import HARMLESS, Battle, run_attacks
from attack_sources import PICTURES, TABLES
from attack_table import MODEL_ATTACKS
from command_line import lagotto
from lagotto.cli.output import printable, spreadsheet_safe
from lagotto.zeroshot.html_report import render_page
from lagotto.zeroshot.types import Prediction, RetrievedCaption

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a terminal acts on, other than a tab or the end of a line."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_world.write_encoder(tmp_path_factory.mktemp("encoder") / "encoder")


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacks")


@pytest.fixture(scope="module")
def battle(field: Path, encoder: Path) -> Battle:
    return run_attacks(field, encoder, timeout_s=2.0)


pytestmark = [pytest.mark.xdist_group("attacks"), pytest.mark.workers]


@pytest.mark.thorough
def test_there_are_enough_of_every_kind(battle: Battle) -> None:
    families = (MODEL_ATTACKS, PICTURES, TABLES, HUB_ATTACKS)
    assert len(battle.fates) == sum(map(len, families)) >= 60
    assert len(HUB_ATTACKS) >= 34
    kinds = {fate.kind for fate in battle.fates}
    assert {
        "external data",
        "size",
        "run",
        "code",
        "path",
        "text",
        "archive",
        "table",
        "published hub",
    } < kinds


@pytest.mark.thorough
def test_every_attack_ends_as_it_must(battle: Battle) -> None:
    lost = [(fate.name, fate.outcome, fate.reason) for fate in battle.fates if not fate.held]
    assert lost == []


@pytest.mark.thorough
def test_none_executes_escapes_or_takes_another_model_down(battle: Battle) -> None:
    assert not battle.executed
    assert battle.secret_untouched
    assert battle.strays == ()
    assert battle.good_models_done


@pytest.mark.thorough
def test_no_reason_can_harm_who_reads_it(battle: Battle) -> None:
    for fate in battle.fates:
        assert fate.reason.isprintable(), fate.name
        assert len(fate.reason) < 700, fate.name
        assert "secret that no attack" not in fate.reason


@pytest.mark.thorough
def test_the_terminal_shows_and_does_not_obey(battle: Battle, field: Path) -> None:
    hub = str(field / "hub")
    said = [
        lagotto("hub", "status", hub),
        lagotto("hub", "status", hub, "--json"),
        lagotto("search", hub, "red", "--top", "50"),
        lagotto("search", hub, "red", "--top", "50", "--json"),
        lagotto("hub", "verify", hub),
    ]
    for answer in said:
        assert answer.code == 0
        assert answer.out
        assert not OBEYED.search(answer.out), answer.out[:200]
        assert not OBEYED.search(answer.err)
    labels = {hit["label"] for hit in said[3].json["hits"]}
    assert "<script>document.title='owned'</script>" in labels


def test_csv_holds_no_formula(encoder: Path, tmp_path: Path) -> None:
    for name in ("=1+1.png", "@sum.png", "-2.png", "+3.png", "a.png"):
        colour_world.picture("red", 1).save(tmp_path / name)
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(["red", "green", *NASTY]))
    found = lagotto("classify", tmp_path, "--labels", labels, "--encoder", encoder, "--csv")
    assert not OBEYED.search(found.out)
    rows = list(csv.reader(io.StringIO(found.out)))
    assert len(rows) == 6
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    for text in NASTY:
        cell = spreadsheet_safe(printable(text))
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    assert spreadsheet_safe("a tabby cat") == "a tabby cat"


@pytest.mark.parametrize("sign", "=+-@＝＋－＠")
def test_no_sign_starts_a_formula_wherever_a_cell_may_begin(sign: str) -> None:
    assert spreadsheet_safe(f"{sign}1") == f"'{sign}1"
    assert spreadsheet_safe(f" {sign}1") == f"' {sign}1"
    assert spreadsheet_safe(f"cat;{sign}1; {sign}2") == f"cat;'{sign}1;' {sign}2"
    assert spreadsheet_safe(f"a{sign}b; c") == f"a{sign}b; c"


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_html_holds_no_script() -> None:
    captions = tuple(RetrievedCaption(i, text, 0.5) for i, text in enumerate(NASTY))
    even = np.full(len(NASTY), 1 / len(NASTY))
    row = Prediction("<b>.png", even, even, (0.5, 0.5), captions, declined="")
    page = render_page(row, NASTY, "")
    assert not _Tags(page).tags & {"script", "b", "iframe"}
    assert "&lt;script&gt;" in page


@pytest.mark.thorough
def test_a_harmless_file_is_read_as_what_it_is(battle: Battle) -> None:
    fates = {fate.name: fate.outcome for fate in battle.fates}
    harmless = {name for name, outcome in fates.items() if outcome == HARMLESS}
    assert {"polyglot", "zip.jpg", "paths.tar", "nasty.jsonl", "nasty_labels"} <= harmless
