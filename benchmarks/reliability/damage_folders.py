"""The folders that damage.py damages, and the commands that read each of them.

All are made of the tests' world of colours. Together they have every kind of file that a hub, a
caption store, a published hub and a run that was cut off leave on a disk.
"""

import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import colour_world
from command_line import Answer, lagotto
from lagotto.core.errors import LagottoError
from lagotto.hub.hub import Hub
from lagotto.hub.ingest import grow
from lagotto.hub.store.copies.origin import CopyOrigin, write_origin
from lagotto.web.views.map import hub_places

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ADDRESS = "hf:datasets/someone/colours"
LONG_LIST = 500
"""Names from which on their embeddings are kept in the hub's cache."""


MAP = "map"
"""Instead of a command: the places of all outputs, as the page of `lagotto serve` asks for them."""


@dataclass(frozen=True)
class Subject:
    """A folder to damage.

    Attributes:
        folder: the folder, of which each trial has a copy.
        commands: by name, what reads it; "{}" is the copy.
        verify: the command that must name the damage, if any answers otherwise.
        tried: patterns of the files that are damaged.
        in_order: whether each command needs what the one before wrote: a refusal ends the trial.
    """

    folder: Path
    commands: dict[str, tuple[str, ...]]
    verify: tuple[str, ...]
    tried: tuple[str, ...] = ("**/*",)
    in_order: bool = False


def make_subjects(place: Path) -> None:
    """Makes all folders in a place but `growing`, which ends the process that makes it."""
    world = colour_world.build_world(place / "world")
    names = [f"name {number}" for number in range(LONG_LIST)]
    (place / "names.txt").write_text("\n".join([*colour_world.NAMES, *names]))
    _make_hub(world, place)
    _make_shares(world, place / "shares")
    _make_store(world, place)
    (place / "export").mkdir()
    _run("hub", "export", place / "hub", place / "export" / "hub.tar", "--without-pictures")
    copy = place / "copy"
    _run("hub", "import", place / "export" / "hub.tar", copy, "--encoder", world.encoder)
    _make_fetched(place / "export" / "hub.tar", place / "fetched")
    _make_merge(world, place / "merge")


def make_growing(place: Path) -> None:
    """A hub whose growth was cut off just before the new hub took the place of the old one.

    It is a copy of one of `make_subjects`. This process is cut off with it.
    """
    more = colour_world.write_pictures(place / "more", each=3, seed=500)
    hub = shutil.copytree(place / "merge" / "hub", place / "growing" / "hub")
    grow._assemble = lambda *_: os._exit(0)  # type: ignore[assignment]
    lagotto("hub", "grow", hub, "--probes", more, "--workers", "1", "--quiet")


def subjects(place: Path) -> dict[str, Subject]:
    """By name, what is damaged."""
    picture = str(place / "world" / "pictures" / "000_red.png")
    encoder = ("--encoder", str(place / "world" / "encoder"))
    kept = str(place / "names.txt")
    quiet = ("--json", "--quiet")
    texts = {
        "text": ("search", "{}", "red", *quiet),
        "behaviour": ("search", "{}", "cyan", "--behaviour-only", *quiet),
        "logit": ("search", "{}", "--logit", "plain:0", *quiet),
        "status": ("hub", "status", "{}", "--json"),
    }
    hub = {
        **texts,
        "low-rank": ("search", "{}", "blue", "--low-rank", *quiet),
        "paper": ("search", "{}", "white", "--rule", "paper", *quiet),
        "labels": ("search", "{}", "--labels", "red,green", *quiet),
        "describe": ("describe", "{}", "plain", *quiet),
        "long list": ("describe", "{}", "plain", "--vocabulary", kept, *quiet),
        "audit": ("audit", "{}", "plain", *quiet),
        "duplicates": ("duplicates", "{}", *quiet),
        "classify": ("classify", picture, "--labels", "red,green", "--hub", "{}", *encoder, *quiet),
        "map": (MAP, "{}"),
    }
    voices = ("classify", picture, "--labels", "red,green,blue", "--captions", "{}")
    store = {
        "text": ("captions", "search", "{}", "a photo of red", "--json"),
        "picture": ("captions", "search", "{}", picture, "--json"),
        "status": ("captions", "status", "{}", "--json"),
        "classify": (*voices, "--json"),
        "approximate": (*voices, "--approximate", "--json"),
    }
    of_address = {
        name: (*(word.replace("{}", ADDRESS) for word in words), *encoder[: 2 * (name != "status")])
        for name, words in texts.items()
    }
    verify = ("hub", "verify")
    made = {"text": ("search", "{}/made", "red", *encoder, *quiet)}
    merged = {
        "text": ("search", "{}/hub", "red", *quiet),
        "status": ("hub", "status", "{}/hub", "--json"),
    }
    more = ("--probes", str(place / "more"), "--workers", "1", "--json", "--quiet")
    return {
        "hub": Subject(place / "hub", hub, (*verify, "{}")),
        "captions": Subject(place / "store", store, ("captions", "verify", "{}")),
        "shares": Subject(
            *(place / "shares", texts, (*verify, "{}")),
            tried=("*.safetensors", "*.sqlite", "blocks/*", "responses/*"),
        ),
        "copy": Subject(
            *(place / "copy", texts, (*verify, "{}")), tried=("*.json", "*.sqlite", "probes/*")
        ),
        "fetched": Subject(
            *(place / "fetched", of_address, (*verify, ADDRESS)),
            tried=("lagotto/hubs/*/*.json", "lagotto/hubs/*/*/*.json", "lagotto/hubs/*/*/*.sqlite"),
        ),
        "export": Subject(
            place / "export",
            {"import": ("hub", "import", "{}/hub.tar", "{}/made", *quiet), **made},
            (*verify, "{}/made"),
            in_order=True,
        ),
        "merge": Subject(
            place / "merge",
            {"merge": ("hub", "merge", "{}/hub", "{}/other", *quiet), **merged},
            (*verify, "{}/hub"),
            tried=("other/**/*",),
            in_order=True,
        ),
        "growing": Subject(
            place / "growing",
            {"grow": ("hub", "grow", "{}/hub", *more), **merged},
            (*verify, "{}/hub"),
            tried=("hub/growing/**/*",),
            in_order=True,
        ),
    }


def ask_folder(words: Sequence[str]) -> Answer:
    """A command, or the places of the map."""
    if words[0] != MAP:
        return lagotto(*words)
    try:
        with Hub.open(Path(words[1])) as hub:
            return Answer(0, str(hub_places(hub).tolist()), "")
    except LagottoError as error:
        return Answer(1, "", str(error))


def _run(*words: str | Path) -> None:
    answer = lagotto(*words, "--quiet")
    assert answer.code == 0, (words, answer.err)


def _make_hub(world: colour_world.World, place: Path) -> None:
    """Two segments, a reference, audits, twins, an index, a map, and kept embeddings of names."""
    hub = shutil.copytree(world.empty_hub, place / "hub")
    first = ("plain", "opencv", "softmaxed", "nameless")
    _run("hub", "add", hub, *(world.models / name for name in first))
    _run("hub", "add", hub, world.models)
    _run("hub", "add", hub, world.models / "plain", "--reference")
    _run("describe", hub, "plain", "--vocabulary", place / "names.txt")
    with Hub.open(hub) as opened:
        opened.build_index(3)
        hub_places(opened)


def _make_shares(world: colour_world.World, hub: Path) -> None:
    shutil.copytree(world.empty_hub, hub)
    _run("hub", "add", hub, world.models / "channels_last", world.models / "bytes")
    _run("hub", "add", hub, world.models, "--probes-per-model", "40")


def _make_store(world: colour_world.World, place: Path) -> None:
    """Two shards, one of them of texts alone; pairs that were set aside; both indexes."""
    rows = [
        {"image": str(file), "caption": f"a photo of {file.stem.partition('_')[2]}"}
        for file in sorted(world.pictures.glob("0*.png"))
    ]
    rows.append({"image": "missing.png", "caption": "a picture that is not there"})
    (place / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (place / "texts.txt").write_text("a photo of red\nphoto of green and blue\n")
    store = place / "store"
    common = ("--pairs", place / "pairs.jsonl", "--encoder", world.encoder)
    _run("captions", "create", store, *common)
    _run("captions", "add", store, "--pairs", place / "texts.txt")
    _run("captions", "index", store)


def _make_fetched(export: Path, cache: Path) -> None:
    """A hub in the cache, as a fetch leaves it there."""
    home = cache / "lagotto" / "hubs" / "hf--someone--colours"
    with tarfile.open(export) as archive:
        archive.extractall(home / COMMIT, filter="data")
    write_origin(home / COMMIT, CopyOrigin(f"{ADDRESS}@{COMMIT}", True, False, ""))
    state = {ADDRESS: {"version": COMMIT, "address": f"{ADDRESS}@{COMMIT}"}}
    (home / "states.json").write_text(json.dumps(state))


def _make_merge(world: colour_world.World, place: Path) -> None:
    hub = shutil.copytree(world.empty_hub, place / "hub")
    other = shutil.copytree(world.empty_hub, place / "other")
    _run("hub", "add", hub, world.models / "plain", world.models / "opencv")
    _run("hub", "add", other, world.models / "softmaxed", world.models / "bytes")
