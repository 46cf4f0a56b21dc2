"""Several jobs: order, first failure, and nobody left running."""

import dataclasses
import threading
import time

import pytest

from profiles.device import load_device
from profiles.errors import DataError, ModelError
from targets.base import ExportedModel, Scheme, TensorSpec
from targets.processes import Leash
from toolchain.cache import open_cache
from toolchain.progress import Progress
from toolchain.steps import compile as module
from toolchain.steps.bundle import BundleJob
from toolchain.steps.compile import build_all


def job(name):
    specs = (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 3)),)
    return BundleJob(ExportedModel(name, *specs), "null", load_device("local-cpu"), Scheme(), None, {"name": name})


@pytest.fixture
def build(monkeypatch):
    """``build(names, workers, work)``: runs ``work(name, leash)`` in place of making a bundle."""

    def run(names, workers, work):
        def build_apart(order, out, leash):
            work(order.model.name, leash)
            (out / "name").write_text(order.model.name)

        monkeypatch.setattr(module, "build_apart", build_apart)
        with open_cache() as cache:
            folders = build_all([job(name) for name in names], cache, workers, Progress(quiet=True))
            return [(folder / "name").read_text() for folder in folders]

    return run


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_are_in_the_order_of_the_jobs(build, workers):
    names = ["slow", "fast", "slow too", "fast too"]
    assert build(names, workers, lambda name, leash: time.sleep(0.1 * ("slow" in name))) == names


def test_an_optional_job_that_fails_stops_nobody(monkeypatch):
    def build_apart(order, out, leash):
        if order.optional:
            raise DataError("it broke")
        (out / "name").write_text(order.model.name)

    monkeypatch.setattr(module, "build_apart", build_apart)
    jobs = [job("first"), dataclasses.replace(job("beside"), optional=True), job("last")]
    with open_cache() as cache:
        first, beside, last = build_all(jobs, cache, 1, Progress(quiet=True))
        assert [(folder / "name").read_text() for folder in (first, last)] == ["first", "last"]
    assert isinstance(beside, DataError) and beside.wanted == "it broke"


def test_no_jobs_at_all(build):
    assert build([], 2, None) == []


def test_as_many_at_a_time_as_asked_for(build):
    running, most = set(), []
    guard = threading.Lock()

    def work(name, leash):
        with guard:
            running.add(name)
            most.append(len(running))
        time.sleep(0.05)
        with guard:
            running.remove(name)

    build([str(number) for number in range(6)], 2, work)
    assert max(most) == 2


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_first_failure_in_the_order_of_the_jobs_is_told(build, workers):
    """However many work at a time, the same error comes out."""

    def work(name, leash):
        if name == "late":
            time.sleep(0.3)
            raise ModelError("the one that counts", seen="x")
        raise DataError("quicker, but behind", seen="x")

    with pytest.raises(ModelError, match="the one that counts"):
        build(["late", "early", "third", "fourth"], workers, work)


def test_nothing_new_is_begun_after_a_failure(build):
    begun = []

    def work(name, leash):
        begun.append(name)
        raise DataError("no", seen="x")

    with pytest.raises(DataError):
        build(["first", "second", "third"], 1, work)
    assert begun == ["first"]


def test_what_still_runs_is_cut_off(build):
    """The second job waits for its leash, as it waits for a worker that is killed."""
    cut, begun = threading.Event(), threading.Event()

    def work(name, leash):
        if name == "first":
            assert begun.wait(timeout=60), "the second job never began"
            raise DataError("no", seen="x")
        begun.set()
        while not leash._is_cut:
            time.sleep(0.01)
        cut.set()

    with pytest.raises(DataError):
        build(["first", "second"], 2, work)
    assert cut.is_set()


def test_two_jobs_with_the_same_key_are_done_once(build):
    done = []
    assert build(["same", "same"], 2, lambda name, leash: done.append(name)) == ["same", "same"]
    assert done == ["same"]


def test_a_leash_that_was_cut_ends_who_comes_later():
    import subprocess

    leash = Leash()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as early, leash.held(early):
        leash.cut()
        assert early.wait(timeout=10) == -9
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as late, leash.held(late):
        assert late.wait(timeout=10) == -9


def test_a_leash_lets_go():
    import subprocess

    leash = Leash()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        with leash.held(process):
            pass
        leash.cut()
        assert process.poll() is None, "it was not on the leash any more"
        process.kill()
