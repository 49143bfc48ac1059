"""This installation comes in; a report of what it has, what it lacks and whether it works goes out.

The report is meant for a bug report: it names no user, no machine, and no file of the user's.
"""

import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lagotto.core.devices.placement import AUTO, Runtime, place
from lagotto.core.errors import reason
from lagotto.core.machine import usable_cores
from lagotto.core.progress import Progress, Silent
from lagotto.diagnosis.packages import ExtraState, PackageState, group_extras, read_packages
from lagotto.diagnosis.privacy import without_user
from lagotto.diagnosis.trial import TrialResult, try_encoder, try_search
from lagotto.jobs.sandbox.guards import Guard, find_guards

if TYPE_CHECKING:
    from lagotto.core.types import JsonObject
    from lagotto.diagnosis.caches import CacheSize

_Found = TypeVar("_Found")

_LOWEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The state of an installation; the fields are the keys of `lagotto doctor --json`.

    `packages` are those that are always needed; None if Lagotto runs from its source without being
    installed, so that what it needs is not known. `providers` are what ONNX graphs can run on, and
    `devices` what `--device` can choose for them; `device_note` says why there is no GPU.
    `isolation` lists what models in workers are cut off from. `trials` are the encoder and the
    search on the bundled world. `problems` says what does not work, one line each.
    """

    lagotto: str
    location: str
    python: str
    system: str
    cores: int
    packages: tuple[PackageState, ...] | None
    extras: tuple[ExtraState, ...]
    providers: tuple[str, ...]
    devices: tuple[str, ...]
    device_note: str
    isolation: tuple[Guard, ...]
    caches: tuple["CacheSize", ...]
    trials: tuple[TrialResult, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if everything that is installed works. An extra that is missing is no problem."""
        return not self.problems

    def as_json(self) -> "JsonObject":
        """The fields by name, tuples as lists, and `ok`."""
        fields: JsonObject = {**asdict(self), "ok": self.ok}
        return fields


def doctor(*, progress: Progress | None = None) -> DoctorReport:
    """Examines this installation, and tries a search on the bundled world.

    It takes a few seconds, needs no network, and leaves nothing behind.

    Args:
        progress: Told of the work.

    Returns:
        The report. It holds no name of the user: paths begin with `~`.

    Example:
        >>> lagotto.doctor().ok  # doctest: +SKIP
        True
    """
    packages, broken = read_packages(), list[str]()
    trials = tuple(
        TrialResult(trial.what, trial.ok, without_user(trial.found), round(trial.elapsed_s, 3))
        for trial in (try_encoder(), try_search(progress or Silent()))
    )
    guards = (Guard(g.what, g.means, without_user(g.reason)) for g in find_guards())
    providers = _found("providers", _providers, broken)
    caches = _found("caches", _caches, broken)
    runtime = _found("devices", _runtime, [])  # what is broken, the providers have told
    return DoctorReport(
        lagotto=str(import_module("lagotto").__version__),
        location=without_user(str(Path(__file__).parents[1])),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=usable_cores(),
        packages=None if packages is None else tuple(item for item in packages if not item.extra),
        extras=group_extras(packages or ()),
        providers=providers,
        devices=("cpu", *(f"cuda:{gpu}" for item in runtime for gpu in item.gpus if item.has_cuda)),
        device_note="".join(place(AUTO, item).note for item in runtime),
        isolation=tuple(guards),
        caches=caches,
        trials=trials,
        problems=(*_problems(packages or (), trials), *broken),
    )


def _providers() -> tuple[str, ...]:
    from lagotto.encoders.onnx import available_providers

    return available_providers()


def _runtime() -> tuple[Runtime, ...]:
    from lagotto.encoders.onnx import onnx_encoder_runtime

    return (onnx_encoder_runtime(),)


def _caches() -> tuple["CacheSize", ...]:
    from lagotto.diagnosis.caches import measure_caches

    return measure_caches()


def _found(
    what: str, ask: Callable[[], tuple[_Found, ...]], broken: list[str]
) -> tuple[_Found, ...]:
    """What was asked for; nothing if it raises, as where a package is broken: then that is told."""
    try:
        return ask()
    except Exception as error:
        broken.append(without_user(f"{what}: {type(error).__name__}: {reason(error)}"))
        return ()


def _problems(
    packages: tuple[PackageState, ...], trials: tuple[TrialResult, ...]
) -> tuple[str, ...]:
    problems = []
    if sys.version_info < _LOWEST_PYTHON:
        lowest = ".".join(map(str, _LOWEST_PYTHON))
        problems.append(f"Python {platform.python_version()} is older than {lowest}")
    for package in packages:
        if package.version is None and not package.extra:
            problems.append(
                f"package {package.name} is missing; run: pip install '{_requirement(package)}'"
            )
        elif package.is_old:
            problems.append(
                f"package {package.name} {package.version} is older than {package.at_least}; "
                f"run: pip install '{_requirement(package)}'"
            )
    problems += [f"{trial.what}: {trial.found}" for trial in trials if not trial.ok]
    return tuple(dict.fromkeys(problems))


def _requirement(package: PackageState) -> str:
    return f"{package.name}>={package.at_least}" if package.at_least else package.name
