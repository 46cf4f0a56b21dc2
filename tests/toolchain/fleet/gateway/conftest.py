"""Without the cross compiler or QEMU, tests that need them say so; CI has both."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[3] / "targets" / "tflite_micro"))

from profiles.errors import MissingToolError

_PROGRAMS = {"arm-none-eabi-gcc": "gcc-arm-none-eabi", "qemu-system-arm": "qemu-system-arm"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    try:
        return (yield)
    except (MissingToolError, FileNotFoundError) as error:
        _or_skip(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except (MissingToolError, FileNotFoundError) as error:
        _or_skip(error)


def _or_skip(error):
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent and not os.environ.get("CI"):
        wanted = " ".join(_PROGRAMS[name] for name in absent)
        pytest.skip(f"{', '.join(absent)} not installed; on Debian or Ubuntu run: sudo apt-get install {wanted}")
    raise error


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
