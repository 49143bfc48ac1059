"""The folders in which work is kept between runs come in; their sizes go out."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import lagotto.hub.kernels
from lagotto.core.remote.download_cache import download_cache
from lagotto.core.temporary.leftovers import FOLDER_PREFIX, measure_leftover
from lagotto.diagnosis.privacy import without_user
from lagotto.hub.probes.datasets.fetch import dataset_cache
from lagotto.hub.publish.fetch import hub_cache


@dataclass(frozen=True, slots=True)
class CacheSize:
    """A cache: what it holds, where it is (without the user's name), and the bytes in it."""

    what: str
    path: str
    bytes: int


def measure_caches() -> tuple[CacheSize, ...]:
    """The caches that Lagotto reads and fills, outside of hubs and stores."""
    kernels = _kernel_folder()
    compiled = [*kernels.rglob("*.nbi"), *kernels.rglob("*.nbc")]
    temporary = Path(tempfile.gettempdir())
    own = [path for path in temporary.glob(f"{FOLDER_PREFIX}*") if path.is_dir()]
    downloads, datasets, hubs = download_cache(), dataset_cache(), hub_cache()
    return (
        _measured("downloads of the Hugging Face Hub", downloads, [downloads]),
        CacheSize("parts of datasets", without_user(str(datasets)), _on_disk(datasets)),
        _measured("published hubs", hubs, [hubs]),
        _measured("compiled kernels", kernels, compiled),
        _measured("temporary files", temporary, own),
    )


def _kernel_folder() -> Path:
    """Where numba keeps what it has compiled."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    return Path(given) if given else Path(lagotto.hub.kernels.__path__[0]) / "__pycache__"


def _measured(what: str, path: Path, parts: list[Path]) -> CacheSize:
    size = sum(measure_leftover(part).bytes for part in parts)
    return CacheSize(what, without_user(str(path)), size)


def _on_disk(folder: Path) -> int:
    """The bytes that files with holes take."""
    found = (path.lstat() for path in folder.rglob("*") if path.is_file())
    return sum(min(item.st_size, getattr(item, "st_blocks", 1 << 40) * 512) for item in found)
