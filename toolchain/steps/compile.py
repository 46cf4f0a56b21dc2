"""Make all bundles, several at a time where asked; what has been made before comes from the cache."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

from targets.processes import Leash
from toolchain.cache import Cache, source_digest
from toolchain.progress import Progress
from toolchain.steps.bundle import BundleJob
from toolchain.steps.bundle_worker import build_apart


def build_all(jobs: Sequence[BundleJob], cache: Cache, workers: int, progress: Progress) -> list[Path]:
    """Folders with the finished bundles, in the order of ``jobs``; each is made in a process of its own.

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


@dataclasses.dataclass(frozen=True)
class _Yard:
    """What all jobs share; no job is begun once ``failed`` is set, and cutting the leash ends those that run."""

    cache: Cache
    progress: Progress
    leash: Leash = dataclasses.field(default_factory=Leash)
    failed: threading.Event = dataclasses.field(default_factory=threading.Event)

    def build(self, job: BundleJob) -> Path:
        if self.failed.is_set():
            raise concurrent.futures.CancelledError
        inputs = {**job.key(), "code": source_digest("targets", "toolchain.steps.bundle", "toolchain.steps.figures")}
        try:
            title = job.title or f"{job.scheme.precision} for {job.device.name} with {job.target}"
            with self.progress.step(title) as step:
                cached = self.cache.folder("bundle", inputs, lambda out: build_apart(job, out, self.leash))
                step.cached = cached.hit
        except BaseException:
            self.failed.set()
            raise
        return cached.path
