"""Sources of probes as a user names them come in; files of this disk go out, fetched if remote."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.core.errors import LagottoError
from lagotto.core.progress import Progress
from lagotto.core.remote.spec import DATASET
from lagotto.core.sources.bundled import BUNDLED, bundled_probes
from lagotto.hub.probes.datasets.sample import DATASET_SAMPLE, DatasetSample

if TYPE_CHECKING:
    from lagotto.hub.probes.datasets.fetch import DatasetListing

DEFAULT_PROBES = f"{DATASET}common-canvas/commoncatalog-cc-by"
"""Photos of many subjects under CC BY, as parquet. Chosen for its licence and form by what is
published about it: it could not be reached where this was written."""


def prepare_sources(
    sources: Sequence[Path | str] | None,
    max_probes: int | None,
    seed: int,
    progress: Progress,
    *,
    accept: bool = False,
) -> tuple[list[Path | DatasetSample], int | None]:
    """Fetches what is remote of some sources.

    Args:
        sources: Paths, `hf:datasets/...` and `bundled`; None for the default.
        max_probes: The size of a sample of all pictures; None takes all of those on disk and
            DATASET_SAMPLE of each dataset.
        seed: Seed of the draw.
        progress: Told of the pictures that are fetched.
        accept: Take datasets that state no licence.

    Returns:
        The sources, and the size of the sample that is to be taken of them.

    Raises:
        UsageError: A dataset states no licence.
        SourceError: A dataset is not to be had. Of the default the bundled pictures take the place
            where there is no network, and only there.
    """
    if sources is None:
        return _default(max_probes, seed, progress, accept)
    prepared: list[Path | DatasetSample] = []
    for source in sources:
        if str(source) == BUNDLED and not Path(source).exists():
            prepared.append(bundled_probes())
        elif isinstance(source, str) and source.startswith(DATASET):
            from lagotto.hub.probes.datasets.fetch import fetch_dataset  # loads the hub's client

            prepared.append(fetch_dataset(source, max_probes, seed, progress, accept=accept))
        else:
            prepared.append(Path(source))
    if max_probes is None and all(isinstance(item, DatasetSample) for item in prepared):
        return prepared, DATASET_SAMPLE * len(prepared)
    if max_probes is None:
        prepared = [
            replace(item, limit=DATASET_SAMPLE, seed=seed)
            if isinstance(item, DatasetSample)
            else item
            for item in prepared
        ]
    return prepared, max_probes


def _default(
    count: int | None, seed: int, progress: Progress, accept: bool
) -> tuple[list[Path | DatasetSample], int | None]:
    """The default dataset, or the bundled pictures where there is no network.

    Another error than a missing network says what to do instead.
    """
    from lagotto.hub.probes.datasets.fetch import fetch_dataset

    if default_listing() is None:
        return [bundled_probes()], count
    try:
        found = fetch_dataset(DEFAULT_PROBES, count, seed, progress, accept=accept)
    except LagottoError as error:
        raise _not_had(error) from error
    return [found], count or DATASET_SAMPLE


def default_listing() -> "DatasetListing | None":
    """The default dataset as the hub lists it; None where there is no network.

    Raises SourceError where there is one, but the dataset is not to be had, or the hub is busy.
    """
    from lagotto.core.remote.hugging_face import is_offline
    from lagotto.core.remote.retry import OutOfReachError, StillBusyError
    from lagotto.hub.probes.datasets.fetch import list_dataset

    if is_offline():
        return None
    try:
        return list_dataset(DEFAULT_PROBES)
    except LagottoError as error:
        if isinstance(error, OutOfReachError) and not isinstance(error, StillBusyError):
            return None
        raise _not_had(error) from error


def _not_had(error: LagottoError) -> LagottoError:
    return type(error)(
        f"the default probes are not to be had: {error}; give your own pictures (--probes "
        f"FOLDER or hf:datasets/ORG/NAME), or the bundled ones (--probes {BUNDLED})"
    )
