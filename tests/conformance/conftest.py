"""One matrix for the whole session; its table is printed at the end."""

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance.run import Matrix, compile_here
from conformance.table import text_table

from profiles.device import load_device

_MATRIX: pytest.StashKey[Matrix] = pytest.StashKey()


@pytest.fixture(scope="session")
def local_device():
    """This machine, one thread, nothing tuned by measuring."""
    return dataclasses.replace(load_device("local-cpu"), parameters={"threads": 1, "tuning_seconds": 0})


@pytest.fixture(scope="module", autouse=True)
def compiled_here():
    """Other tests of this process compile as users do."""
    with compile_here():
        yield


@pytest.fixture(autouse=True)
def array_built_once(kept_simulators):
    """Not once for every cell."""


@pytest.fixture(scope="session")
def matrix(request, tmp_path_factory, local_device):
    """Cells, each computed once; the cases that come next are exported ahead."""
    made = Matrix(tmp_path_factory.mktemp("conformance"), local_device)
    request.config.stash[_MATRIX] = made
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    made.subjects.order([params["case"] for params in calls if {"case", "target"} <= set(params)])
    yield made
    made.subjects.close()


def pytest_terminal_summary(terminalreporter, config):
    made = config.stash.get(_MATRIX, None)
    if made is None or len(made.cells) < 2:
        return
    terminalreporter.section("conformance matrix")
    for line in text_table(made.cells):
        terminalreporter.write_line(line)
