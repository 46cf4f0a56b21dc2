"""Stand-in boards. Without the cross compiler or QEMU, tests that need them say so; CI has both."""

import sys
from pathlib import Path

import pytest

from tests.targets.tflite_micro.conftest import pytest_runtest_call, pytest_runtest_setup

__all__ = ["boards", "pytest_runtest_call", "pytest_runtest_setup"]

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def boards(tmp_path):
    """Makes stand-in boards, and switches them off at the end."""
    import fleet_boards

    made = []

    def make(image, **words):
        made.append(fleet_boards.StandIn(tmp_path / f"board{len(made)}", image, **words))
        return made[-1].power()

    yield make
    for each in made:
        each.unplug()
