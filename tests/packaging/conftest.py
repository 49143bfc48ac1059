"""Fixtures of the packaging tests."""

import os

import pytest


@pytest.fixture
def package_index() -> None:
    """Leave to install from the package index; tests that need it skip without."""
    if not os.environ.get("LAGOTTO_FRESH"):
        pytest.skip("it installs from the package index: run make fresh")
