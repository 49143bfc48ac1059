"""Runs every attack and tells what became of each: for the tests and for the benchmark."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attack_hubs import HUB_ATTACKS, parts_of
from attack_models import Place, write_attacks
from attack_sources import PICTURES, TABLES, FileAttack, picture
from attack_table import MODEL_ATTACKS
from colour_world import build_world
from lagotto.core.errors import LagottoError, PictureError
from lagotto.core.progress import Silent
from lagotto.core.types import Skipped
from lagotto.hub.hub import Hub
from lagotto.hub.publish.archive import import_archive
from lagotto.zeroshot.captions.sources.registry import find_sources
from published_world import export

LEFT_OUT, HARMLESS = "left out", "harmless"
_PATIENT_S = 120.0
SECRET = b"the secret that no attack may read or change " * 9


@dataclass(frozen=True)
class Fate:
    """What became of an attack. `held`: it was refused with the reason that it must have."""

    name: str
    kind: str
    tries: str
    outcome: str
    reason: str
    held: bool


@dataclass(frozen=True)
class Battle:
    """All fates, and what else must be so. `seconds` is how long each family took."""

    fates: tuple[Fate, ...]
    good_models_done: bool
    executed: bool
    secret_untouched: bool
    strays: tuple[str, ...]
    seconds: dict[str, float]


def run_attacks(folder: Path, encoder: Path, timeout_s: float) -> Battle:
    """Writes all attacks under `folder`, feeds them to Lagotto, and looks at what is left.

    A hub is made at `folder / "hub"`: of the hostile pictures, then with the hostile models, by
    the command line in a process of its own, each model within half a GiB. Those that never end
    have `timeout_s`; the others must be refused for what they are, however busy the machine is.
    Hostile hubs are forged from the export of an honest one, and taken over as `hub import` does.
    """
    place = Place(folder / "secret.bin", folder / "marker")
    place.secret.write_bytes(SECRET)
    pictures, models, tables = (folder / name for name in ("pictures", "models", "tables"))
    _write_files(pictures, PICTURES, place)
    for number in range(4):
        (pictures / f"good{number}.png").write_bytes(picture(edge=32 + number))
    _write_files(tables, TABLES, place)
    write_attacks(models, place, MODEL_ATTACKS)
    forged = _forge_hubs(folder)
    before = _listing(folder)
    seconds = {}
    started = time.perf_counter()
    hub = Hub.create(folder / "hub", pictures, str(encoder))
    fates = [*_picture_fates(hub)]
    seconds["pictures"], started = time.perf_counter() - started, time.perf_counter()
    fates += [_table_fate(attack, tables / name) for name, attack in TABLES.items()]
    seconds["tables"], started = time.perf_counter() - started, time.perf_counter()
    for name in ("files", "bombs"):
        _add(folder / "hub", models / name, _PATIENT_S)
    _add(folder / "hub", models / "endless", timeout_s)
    seconds["models"] = time.perf_counter() - started
    fates += _model_fates(hub)
    started = time.perf_counter()
    fates += [_hub_fate(name, file, folder / "copies") for name, file in forged.items()]
    seconds["hubs"] = time.perf_counter() - started
    return Battle(
        fates=tuple(fates),
        good_models_done={"good", "good_too"}
        <= {Path(model.source).parent.name for model in hub.status().models},
        executed=place.marker.exists(),
        secret_untouched=place.secret.read_bytes() == SECRET,
        strays=tuple(sorted(_listing(folder) ^ before)),
        seconds={name: round(value, 2) for name, value in seconds.items()},
    )


def _listing(folder: Path) -> set[str]:
    """Every path under a folder, but for those of the hub in it."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return {path for path in paths if path.split("/")[0] != "hub"}


def _add(hub: Path, models: Path, timeout_s: float) -> None:
    limits = ["--workers", "2", "--timeout", str(timeout_s), "--memory-gb", "0.5", "--json"]
    command = [sys.executable, "-m", "lagotto.cli.main", "hub", "add", str(hub), str(models)]
    done = subprocess.run([*command, *limits], check=False, stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 1):  # 1: all models failed
        raise RuntimeError(f"hub add ended with {done.returncode}")


def _write_files(folder: Path, attacks: dict[str, FileAttack], place: Place) -> None:
    folder.mkdir()
    for name, attack in attacks.items():
        attack.write(folder / name, place)


def _picture_fates(hub: Hub) -> Iterator[Fate]:
    reasons = {Path(each.source).name: each.reason for each in hub.skipped()}
    used = {Path(probe.source).name for probe in hub.probes}
    for name, attack in PICTURES.items():
        outcome = "refused" if name in reasons else HARMLESS if name in used else "lost"
        reason = reasons.get(name, "")
        held = attack.becomes in (reason or outcome)
        yield Fate(name, attack.kind, attack.tries, outcome, reason, held)


def _table_fate(attack: FileAttack, path: Path) -> Fate:
    reasons = []
    try:
        for source in find_sources(path):
            for item in source.read():
                if isinstance(item, Skipped):
                    reasons.append(item.reason)
                elif item.load is not None:
                    item.load()
    except (LagottoError, PictureError) as error:
        reasons.append(str(error))
    reason = reasons[0] if reasons else ""
    outcome = "refused" if reasons else HARMLESS
    if attack.becomes == "not a picture" and not reasons:
        reason, outcome = _decoded(path)
    held = attack.becomes in (reason or outcome)
    return Fate(attack.name, attack.kind, attack.tries, outcome, reason, held)


def _decoded(path: Path) -> tuple[str, str]:
    """What is said of the picture that a table names, once it is decoded."""
    from lagotto.core.images import decode_picture

    (source,) = find_sources(path)
    (item,) = source.read()
    try:
        decode_picture(item.load())
    except PictureError as error:
        return str(error), "refused"
    return "", HARMLESS


def _model_fates(hub: Hub) -> Iterator[Fate]:
    status = hub.status()
    failed = {Path(f.source).parent.name: f for f in status.failures}
    done = {Path(model.source).parent.name for model in status.models}
    for name, attack in MODEL_ATTACKS.items():
        if name in failed:
            outcome, reason = failed[name].kind, failed[name].reason
        else:
            outcome, reason = (HARMLESS if name in done else LEFT_OUT), ""
        held = attack.becomes in (reason or outcome)
        yield Fate(name, attack.kind, attack.tries, outcome, reason, held)


def _forge_hubs(folder: Path) -> dict[str, Path]:
    """The hostile hubs by name, each a file; they are made of an honest one, published."""
    tar = export(build_world(folder / "world").hub, folder / "honest.tar")
    files = {}
    for number, (name, (forge, _)) in enumerate(HUB_ATTACKS.items()):
        room = folder / "forged" / str(number)
        room.mkdir(parents=True)
        files[name] = forge(parts_of(tar, room))
    return files


def _hub_fate(name: str, file: Path, copies: Path) -> Fate:
    """What became of a hostile hub; none of it may stay."""
    reason, outcome, target = "", HARMLESS, copies / file.parent.name
    try:
        import_archive(file, target, Silent())
    except LagottoError as error:
        reason, outcome = str(error), "refused"
    left = target.exists() or (copies.exists() and [*copies.iterdir()])
    held = HUB_ATTACKS[name][1] in (reason or outcome) and not left
    if copies.exists() and not left:
        copies.rmdir()
    return Fate(f"hub: {name}", "published hub", name, outcome, reason, held)


def clear(folder: Path) -> None:
    """Removes what run_attacks left."""
    shutil.rmtree(folder)
