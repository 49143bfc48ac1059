"""Wheel and sdist hold everything, and work where they are installed."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11", "3.12", "3.13")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"


def build(kind: str, tree: Path, out: Path) -> Path:
    """Builds "wheel" or "sdist" from a tree, as installers do; the file in the folder `out`."""
    pytest.importorskip("setuptools", minversion="77")
    out.mkdir()
    command = [sys.executable, "-c", BUILD.format(kind), str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built: the source, without what was made in it."""
    folder = tmp_path_factory.mktemp("build") / "tree"
    made = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=made)
    for name in ("pyproject.toml", PROJECT["readme"], "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def sdist(tree: Path) -> Path:
    return build("sdist", tree, tree.parent / "sdist")


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """Built from the sdist, so what that lacks is missing here too."""
    unpacked = sdist.parents[1] / "unpacked"
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # 3.11.4 and later
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, **safely)
    (source,) = unpacked.iterdir()
    return build("wheel", source, sdist.parents[1] / "wheel")


@pytest.mark.thorough
def test_every_file_of_the_package_is_in_the_wheel(tree: Path, wheel: Path) -> None:
    package = tree / "src" / "lagotto"
    files = {
        path.relative_to(tree / "src").as_posix() for path in package.rglob("*") if path.is_file()
    }
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if not name.startswith(f"lagotto-{PROJECT['version']}")} == files


@pytest.mark.thorough
def test_the_wheel_is_under_twelve_megabytes(wheel: Path) -> None:
    assert wheel.stat().st_size < 12_000_000


@pytest.mark.thorough
def test_the_wheel_says_what_the_project_says(wheel: Path) -> None:
    assert wheel.name == f"lagotto-{PROJECT['version']}-py3-none-any.whl"
    archive = zipfile.ZipFile(wheel)
    inside = f"lagotto-{PROJECT['version']}.dist-info"
    metadata = message_from_string(archive.read(f"{inside}/METADATA").decode())
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(needed) == sorted(PROJECT["dependencies"])
    assert sorted(metadata.get_all("Provides-Extra", [])) == sorted(
        PROJECT["optional-dependencies"]
    )
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    entries = archive.read(f"{inside}/entry_points.txt").decode()
    for name, place in PROJECT["scripts"].items():
        assert f"{name} = {place}" in entries
    for file in PROJECT["license-files"]:
        assert f"{inside}/licenses/{file}" in archive.namelist()


@pytest.mark.thorough
def test_what_is_in_the_wheel_works(wheel: Path, tmp_path: Path) -> None:
    """Unpacked, beside the packages of this environment: nothing of the source tree is read."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    answer = subprocess.run(
        [sys.executable, "-m", "lagotto", "doctor", "--quiet", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    report = json.loads(answer.stdout)
    assert report["location"].endswith("/site/lagotto")
    assert report["ok"], report["problems"]


# ------------------------------------------------------------- new environments, from the index


def find_python(version: str) -> str | None:
    """An interpreter of a version: on the path, or of pyenv."""
    found = shutil.which(f"python{version}")
    candidates = [found] if found else []
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += map(str, sorted(root.glob(f"versions/{version}.*/bin/python")))
    for candidate in candidates:
        asked = [candidate, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True)
        if answer.stdout.strip() == version:
            return candidate
    return None


@pytest.mark.fresh
@pytest.mark.usefixtures("package_index")
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("version", PYTHONS)
def test_a_fresh_environment_works(
    version: str, kind: str, wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    place = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", str(place)], check=True, env=environment)
    file = wheel if kind == "wheel" else sdist
    subprocess.run(
        [place / "bin" / "python", "-m", "pip", "install", "--quiet", str(file)],
        check=True, env=environment,
    )  # fmt: skip
    answer = subprocess.run(
        [place / "bin" / "lagotto", "doctor", "--quiet", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    report = json.loads(answer.stdout)
    assert report["ok"], report["problems"]
    assert report["python"].startswith(f"CPython {version}.")
    assert report["lagotto"] == PROJECT["version"]
