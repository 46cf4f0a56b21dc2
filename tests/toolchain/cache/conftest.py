"""Children that build into a cache: forked, so that a test can have hundreds of them."""

import os
import traceback
from collections.abc import Callable

import pytest


def _fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        status = int(work() or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


@pytest.fixture
def fork():
    """``fork(work)`` runs ``work`` in a child and returns its number; its exit status is what it returns, or 70."""
    return _fork


@pytest.fixture
def exit_status():
    """``exit_status(pid)`` waits for a child: its exit status, or minus the signal that ended it."""
    return lambda pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
