"""`lagotto demo`: what it refuses before it builds anything."""

from pathlib import Path

from command_line import lagotto


def test_a_served_demo_has_no_json(tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    lagotto("demo", "--folder", folder, "--serve", "--json").refused(2, "--json and --serve")
    assert not folder.exists()
