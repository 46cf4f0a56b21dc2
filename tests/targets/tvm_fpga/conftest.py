"""Puts the helpers of this folder, of the partition's tests, and of all targets' tests on the path."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE / "partition", HERE.parent):
    sys.path.insert(0, str(folder))


@pytest.fixture(autouse=True)
def array_built_once(kept_simulators):
    """Not once for every test."""
