"""The bundled world comes in; whether its encoder and a search of it do what they should goes out.

The encoder is held against embeddings that were recorded when it was made. The search goes the way
of a user's: probes are embedded, models run in workers, and the hits must begin with the output
that knows the concept.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

from lagotto.core.errors import LagottoError, reason
from lagotto.core.progress import Progress
from lagotto.core.temporary.leftovers import temporary_folder

_CANARY = files("lagotto.diagnosis") / "canary.json"
_PROBES = 96
_MODELS = ("exp_final_v3", "old_laptop_copy")
_CONCEPT = "fried egg"
_KNOWS_IT = ("exp_final_v3", 0)
"""The output that was trained on the concept, by the world's own truth; it has no label."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What was tried, whether it went as it should, what came of it, and the seconds it took."""

    what: str
    ok: bool
    found: str
    elapsed_s: float


def try_encoder() -> TrialResult:
    """Holds the bundled encoder against its recorded canary."""
    return _tried("encoder", _check_encoder)


def try_search(progress: Progress) -> TrialResult:
    """Makes a hub of two bundled models in a temporary folder, and searches it."""
    return _tried("search", lambda: _search(progress))


def _tried(what: str, attempt: Callable[[], tuple[bool, str]]) -> TrialResult:
    """The result of an attempt; whatever it raises is the result, as an installation may be broken.

    So attempts import what they need themselves.
    """
    started = time.perf_counter()
    try:
        ok, found = attempt()
    except LagottoError as error:
        ok, found = False, str(error)
    except Exception as error:
        ok, found = False, f"{type(error).__name__}: {reason(error)}"
    return TrialResult(what, ok, found, time.perf_counter() - started)


def _check_encoder() -> tuple[bool, str]:
    from lagotto.demo import bundled
    from lagotto.encoders.canary import TEXTS, canary_pixels, with_canary_check
    from lagotto.encoders.registry import load_encoder

    recorded = json.loads(_CANARY.read_text("utf-8"))
    encoder = load_encoder(str(bundled.DEMO_ENCODER))
    checked = with_canary_check(encoder, recorded, "this installation")
    checked.embed_pixels(canary_pixels(checked.info.pixels)[None])
    checked.embed_texts(TEXTS[:1])
    return True, "the bundled encoder gives the embeddings that were recorded"


def _search(progress: Progress) -> tuple[bool, str]:
    from lagotto.demo import bundled
    from lagotto.hub.hub import Hub
    from lagotto.jobs.worker_limits import Limits

    models, encoder = [bundled.MODELS / name for name in _MODELS], str(bundled.DEMO_ENCODER)
    with (
        temporary_folder("doctor") as folder,
        Hub.create(
            folder / "hub", bundled.PROBES, encoder, max_probes=_PROBES, progress=progress
        ) as hub,
    ):
        report = hub.add(models, limits=Limits(workers=1), progress=progress)
        if report.failures:
            first = report.failures[0]
            return False, f"model {first.model} failed ({first.kind}): {first.reason}"
        hit = hub.search(_CONCEPT, top=1)[0]
    if (hit.model, hit.logit) != _KNOWS_IT:
        right = ":".join(map(str, _KNOWS_IT))
        return False, f"{_CONCEPT!r} found {hit.model}:{hit.logit} first, but {right} knows it"
    return True, (
        f"{len(models)} models ran in a worker on {_PROBES} pictures; "
        f"{_CONCEPT!r} found the output that knows it"
    )
