"""Make all bundles, several at a time where asked; what has been made before comes from the cache."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import EdgewrightError
from targets.processes import Leash
from toolchain.cache import Cache, source_digest
from toolchain.progress import Progress
from toolchain.steps.bundle import BundleJob
from toolchain.steps.bundle_worker import build_apart

#: A finished bundle, or why an optional one could not be made.
Made = Path | EdgewrightError


def build_all(jobs: Sequence[BundleJob], cache: Cache, workers: int, progress: Progress) -> list[Made]:
    """Folders with the finished bundles, in the order of ``jobs``; each is made in a process of its own.

    For an optional job that fails there is the error in place of the folder.

    Raises:
        EdgewrightError: of the first job in that order that fails; the others are stopped.
    """
    yard = _Yard(cache, progress)
    with concurrent.futures.ThreadPoolExecutor(max(1, min(workers, len(jobs)))) as threads:
        try:
            futures = [threads.submit(yard.build, job) for job in jobs]
            return [future.result() for future in futures]
        except BaseException:
            yard.failed.set()
            yard.leash.cut()
            raise


def build_one(job: BundleJob, cache: Cache, progress: Progress) -> Path:
    """The folder of one bundle.

    Raises:
        EdgewrightError: it cannot be made.
    """
    return _Yard(cache, progress).make(job)


@dataclasses.dataclass(frozen=True)
class _Yard:
    """What all jobs share; no job is begun once ``failed`` is set, and cutting the leash ends those that run."""

    cache: Cache
    progress: Progress
    leash: Leash = dataclasses.field(default_factory=Leash)
    failed: threading.Event = dataclasses.field(default_factory=threading.Event)

    def build(self, job: BundleJob) -> Made:
        if self.failed.is_set():
            raise concurrent.futures.CancelledError
        try:
            return self.make(job)
        except BaseException as error:
            if job.optional and isinstance(error, EdgewrightError):
                return error
            self.failed.set()
            raise

    def make(self, job: BundleJob) -> Path:
        inputs = {**job.key(), "code": source_digest("targets", "toolchain.steps.bundle", "toolchain.steps.figures")}
        title = job.title or f"{job.scheme.precision} for {job.device.name} with {job.target}"
        with self.progress.step(title) as step:
            cached = self.cache.folder("bundle", inputs, lambda out: build_apart(job, out, self.leash))
            step.cached = cached.hit
        return cached.path
