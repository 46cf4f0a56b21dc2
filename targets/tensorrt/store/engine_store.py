"""The engine for one bundle on this machine: the bundle's own, a kept one, or a new one. Travels to the device.

An engine that was compiled for another version, driver or GPU is never loaded; a new one is built, and the reason told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from profiles.units import format_quantity
from targets.tensorrt.compiler.library import check_version, library, library_version
from targets.tensorrt.gpu.gpu import Gpu
from targets.tensorrt.plan import BuildPlan
from targets.tensorrt.store import engine_files as files
from targets.tensorrt.store.engine_files import Entry, default_root
from targets.tensorrt.store.engine_key import EngineKey, Site, key_of, site_of
from targets.tensorrt.store.engine_lock import alone, unwritable
from targets.tensorrt.store.engine_shipped import onnx_path, why_not_shipped

Progress = Callable[[str], None]
NONE_YET = "no engine of this bundle is kept here yet"


def tell(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True)
class Tools:
    """The library of this machine; tests put their own in its place.

    Attributes:
        build: as :func:`targets.tensorrt.compiler.builder.build_engine`.
        version: as :func:`targets.tensorrt.compiler.library.library_version`.
    """

    build: Callable[..., Any]
    version: Callable[[str], str]


def installed_tools() -> Tools:
    """TensorRT as it is installed here."""
    from targets.tensorrt.compiler.builder import build_engine

    return Tools(build_engine, library_version)


def engine_for(
    folder: Path,
    plan: BuildPlan,
    batch: int,
    gpu: Gpu,
    *,
    root: Path | None = None,
    rebuild: bool = False,
    progress: Progress = tell,
    tools: Tools | None = None,
) -> Path:
    """An engine that this GPU, driver and library can load.

    Args:
        folder: the bundle.
        plan: its build plan.
        batch: one of the plan's batch sizes.
        gpu: of this machine.
        root: where engines are kept; :func:`default_root` unless named.
        rebuild: compile even if a fitting engine is there.
        progress: is told what is done and why.
        tools: the library, for tests.

    Raises:
        ConfigError: the plan has no such batch size.
        MissingToolError: the library is not installed, or older than the plan wants.
        VerificationError: the bundle lacks the ONNX file for that batch size.
        OutputError: the engine cannot be kept.
        UnsupportedError, ModelError, ToolCrashError: from the compiler.
    """
    tools = tools or installed_tools()
    _check_batch(plan, batch)
    version = tools.version(plan.library)
    check_version(plan.library, version, plan.least_version or library(plan.library).least_version)
    reason, shipped = "", folder / plan.engine_name(batch)
    if plan.ahead_of_time:
        reason = why_not_shipped(folder, plan, batch, gpu, version)
        if not reason and not rebuild and not _stored(root):
            return shipped
        plan = dataclasses.replace(plan, compute_capabilities=(gpu.compute_capability,))
    onnx = onnx_path(folder, plan, batch).read_bytes()
    key = key_of(onnx, plan, batch, site_of(gpu, plan.library, version))
    keeper = _Keeper(root or default_root(), key, plan, tools, progress)
    if plan.ahead_of_time and not reason and not rebuild:
        return keeper.made_again() or shipped
    return keeper.engine(onnx, reason, rebuild)


def _stored(root: Path | None) -> bool:
    """Whether there is a folder with engines; a user without a home has none."""
    try:
        return (root or default_root()).is_dir()
    except ConfigError:
        return False


@dataclasses.dataclass(frozen=True)
class _Keeper:
    """One engine of the store."""

    root: Path
    key: EngineKey
    plan: BuildPlan
    tools: Tools
    progress: Progress

    def engine(self, onnx: bytes, reason: str, rebuild: bool) -> Path:
        """The kept engine, or a new one."""
        entry, seen = self._kept()
        if entry and not rebuild:
            return entry.path
        with alone(self.root, lambda: self.progress("another process is compiling; waiting for it")):
            again, seen = self._kept()
            if again and (not rebuild or again != entry):  # somebody else made it while we waited
                return again.path
            why = ["asked to"] if rebuild else [reason, seen if seen != NONE_YET or not reason else ""]
            self.progress(f"compiling: {'; '.join(filter(None, why))}")
            return self._build(onnx).path

    def made_again(self) -> Path | None:
        """What somebody had compiled here although the bundle's own engine fits, or None."""
        entry, _ = self._kept()
        return entry.path if entry else None

    def _kept(self) -> tuple[Entry | None, str]:
        """The entry if it is whole; else why there is none."""
        entry = files.find(self.root, self.key)
        if entry is None:
            return None, self._what_else()
        damage = entry.damage()
        return (None, f"the kept engine is damaged ({damage})") if damage else (entry, "")

    def _what_else(self) -> str:
        others = files.alternatives(self.root, self.key)
        if not others:
            return NONE_YET
        there, here = others[0].key.site.differences(self.key.site)
        return f"the kept engine was built for {there}; this machine has {here}"

    def _build(self, onnx: bytes) -> Entry:
        start = time.monotonic()
        cache = files.timing_cache(self.root, self.key.site)
        self.progress(f"batch {self.key.batch}, {self.key.site.describe()}; this can take minutes")
        built = self.tools.build(onnx, self.plan, self.key.batch, timing_cache=cache)
        seconds = time.monotonic() - start
        entry = files.keep(self.root, self.key, built.engine, seconds, tuple(built.notes))
        files.keep_timing_cache(self.root, self.key.site, built.timing_cache)
        size, took = format_quantity(entry.size, "B"), format_quantity(seconds, "s")
        self.progress(f"compiled in {took}: {size}, kept as {entry.path}")
        return entry


def _check_batch(plan: BuildPlan, batch: int) -> None:
    if batch not in plan.batches:
        raise ConfigError(
            "wanted an engine of the bundle",
            seen=f"batch size {batch}",
            allowed=", ".join(map(str, plan.batches)),
            next_step="name the batch sizes before the build: parameters = { batches = [1, 8] } under [[device]]",
        )


def list_engines(root: Path | None = None) -> list[Entry]:
    """All kept engines that have a readable description, in order of their paths."""
    found = (files.read_entry(path) for path in sorted((root or default_root()).glob("*/*.engine")))
    return [entry for entry in found if entry]


def prune_engines(sites: Collection[Site] | None, root: Path | None = None) -> tuple[list[Path], int]:
    """Remove what this machine cannot load, what is damaged, and what killed programs left.

    Args:
        sites: this machine, once for each library that it has; None removes everything.
        root: where engines are kept.

    Returns:
        The files that were removed, and their bytes.

    Raises:
        OutputError: something cannot be removed.
    """
    root = root or default_root()
    if not root.is_dir():
        return [], 0
    with alone(root):
        kept = {entry.path for entry in list_engines(root) if entry.key.site in (sites or ()) and not entry.damage()}
        unwanted = [path for path in sorted(root.glob("batch*/*")) if path.with_suffix(".engine") not in kept]
        unwanted += [] if sites is not None else sorted((root / files.TIMING).glob("*"))
        freed = sum(_remove(path) for path in unwanted)
        for folder in {path.parent for path in unwanted}:
            with contextlib.suppress(OSError):  # it still holds something
                folder.rmdir()
        return unwanted, freed


def _remove(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError as error:
        raise unwritable(path, error) from error
    return size
