"""`import lagotto` and `lagotto --help` load no framework and take a moment only."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = (
    *("onnxruntime", "numba", "pyarrow", "huggingface_hub", "tokenizers", "torch", "PIL"),
    *("ai_edge_litert", "safetensors", "transformers", "pandas", "scipy"),
    *("fastapi", "starlette", "pydantic", "uvicorn", "jinja2"),
)
HELP_S = 0.25
"""The product's own bar, on two idle cores; the test measures processor time and allows for a
slower machine."""


def loaded_after(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter that ran some code."""
    tail = "\nimport sys, json; sys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", code + tail], check=True, capture_output=True, text=True
    )
    return {name.split(".")[0] for name in json.loads(ended.stdout.splitlines()[-1])}


def test_the_import_loads_no_framework() -> None:
    found = loaded_after("import lagotto")
    assert not found & {*HEAVY, "numpy", "jaxtyping", "typer", "rich"}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["hub", "--help"], ["search", "--help"], ["serve", "--help"], ["--version"]],
)
def test_help_loads_no_framework(words: list[str]) -> None:
    code = (
        "import sys; from lagotto.cli.main import main\n"
        f"sys.argv = ['lagotto', *{words!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code"
    )
    of_typer = {"pydantic"}  # which typer loads itself, where it is installed
    assert not loaded_after(code) & ({*HEAVY, "numpy", "jaxtyping"} - of_typer)


def test_a_name_loads_what_it_needs_and_no_more() -> None:
    assert "onnxruntime" not in loaded_after("import lagotto; lagotto.Hub")


def processor_seconds(command: list[str]) -> float:
    """Processor time of a command that must succeed; a busy machine hardly changes it."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_help_is_quick() -> None:
    command = [sys.executable, "-m", "lagotto.cli.main", "--help"]
    times: list[float] = []
    while len(times) < 7 and min(times, default=1.0) >= HELP_S:
        times.append(processor_seconds(command))
    assert min(times) < 3 * HELP_S, times
