"""Families of files as people have them, where they lie beside the checkout: all are read right."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "cases"
SCRIPTS = sorted(CASES.glob("c*_*.py")) if CASES.is_dir() else []


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    """benchmarks/reliability/cases.py."""
    path = ROOT / "benchmarks" / "reliability" / "cases.py"
    spec = importlib.util.spec_from_file_location("reliability_cases", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.real
@pytest.mark.skipif(not SCRIPTS, reason="no families of files beside the checkout")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_family_is_read_right(driver: ModuleType, script: Path) -> None:
    assert driver.run_case(script.name.partition("_")[0], script) == []


def test_every_check_is_of_one_family(driver: ModuleType) -> None:
    checks = driver.load_checks()
    assert len(checks) == 18
    assert set(checks) >= {f"c{number:02}" for number in (1, 2, 3, 4, 6, 8, 9, 11, 12)}
    modules = sorted((ROOT / "benchmarks/reliability/case_checks").glob("[a-z]*.py"))
    assert len(modules) == 5


def test_a_family_that_nobody_checks_is_wrong(driver: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "c99_new.py").write_text("")
    assert driver.run_case("c99", tmp_path / "c99_new.py") == ["no check knows this family"]
    (tmp_path / "c11_bad.py").write_text("raise SystemExit('no such package')")
    (wrong,) = driver.run_case("c11", tmp_path / "c11_bad.py")
    assert "its script fails: no such package" in wrong
