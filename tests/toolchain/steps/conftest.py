"""Sources and projects for the steps."""

import pytest

from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.project import project_from_dict
from toolchain.steps.source import open_source


@pytest.fixture
def cache():
    with open_cache() as opened:
        yield opened


@pytest.fixture
def source(cache):
    """``source(data)``: the opened model of a project given as data."""

    def opened(data):
        return open_source(project_from_dict(data), cache, Progress(quiet=True))

    return opened
