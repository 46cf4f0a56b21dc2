"""Make all bundles, several at a time where asked; what has been made before comes from the cache."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

from toolchain.cache import Cache, source_digest
from toolchain.progress import Progress
from toolchain.steps.bundle import BundleJob, build_bundle


def build_all(jobs: Sequence[BundleJob], cache: Cache, workers: int, progress: Progress) -> list[Path]:
    """Folders with the finished bundles, in the order of ``jobs``. With several workers, each has its own process."""
    if workers <= 1 or len(jobs) <= 1:
        return [_build_one(job, cache, None, progress) for job in jobs]
    context = multiprocessing.get_context("spawn")
    with (
        concurrent.futures.ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as processes,
        concurrent.futures.ThreadPoolExecutor(min(workers, len(jobs))) as threads,
    ):
        futures = [threads.submit(_build_one, job, cache, processes, progress) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            processes.shutdown(wait=False, cancel_futures=True)
            raise


def _build_one(
    job: BundleJob, cache: Cache, processes: concurrent.futures.ProcessPoolExecutor | None, progress: Progress
) -> Path:
    def produce(out: Path) -> None:
        if processes is None:
            build_bundle(job, out)
        else:
            processes.submit(build_bundle, job, out).result()

    inputs = {**job.key(), "code": source_digest("targets", "toolchain.steps.bundle")}
    with progress.step(f"{job.scheme.precision} for {job.device.name} with {job.target}") as step:
        cached = cache.folder("bundle", inputs, produce)
        step.cached = cached.hit
    return cached.path
