"""What ``edgewright-runtime`` asks of this target on a device: compile, describe, list, prune. Travels there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, EdgewrightError, MissingToolError
from targets.tensorrt.compiler.library import check_version, library, library_version
from targets.tensorrt.gpu.gpu import Gpu, check_driver, find_gpu
from targets.tensorrt.plan import LIBRARIES, load_plan
from targets.tensorrt.store.engine_files import default_root
from targets.tensorrt.store.engine_key import Site, site_of
from targets.tensorrt.store.engine_store import engine_for, list_engines, prune_engines


def build(folder: Path, rebuild: bool, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Make sure that there is an engine for every batch size of the bundle; one row for each.

    Raises:
        EdgewrightError: no GPU, no library, a graph that the compiler refuses, a folder that cannot be written.
    """
    plan, gpu = load_plan(folder), find_gpu()
    check_driver(gpu, plan.library)
    rows = []
    for batch in plan.batches:
        path = engine_for(folder, plan, batch, gpu, rebuild=rebuild, progress=tell)
        rows.append({"batch": batch, "engine": str(path), "size": path.stat().st_size})
    return rows


def describe() -> dict[str, Any]:
    """The GPU, the libraries, and the kept engines; what is missing is told in words."""
    found: dict[str, Any] = {"gpu": None, "gpu_missing": "", "libraries": _libraries(), "engines": []}
    try:
        found["gpu"] = find_gpu().as_dict()
    except EdgewrightError as error:
        found["gpu_missing"] = error.as_dict()
    try:
        found["engines_kept_in"], found["engines"] = str(default_root()), engines()
    except ConfigError as error:  # a user without a home
        found["engines_kept_in"] = f"nowhere: {error.seen}; {error.next_step}"
    return found


def problems() -> list[EdgewrightError]:
    """Why this machine cannot run a bundle; nothing when it can with one of the libraries."""
    try:
        gpu = find_gpu()
    except EdgewrightError as error:
        return [error]
    names = list(_libraries()) or [LIBRARIES[-1]]
    found = [problem for problem in (_problem(gpu, name) for name in names) if problem]
    return found if len(found) == len(names) else []


def _problem(gpu: Gpu, name: str) -> EdgewrightError | None:
    try:
        check_version(name, library_version(name), library(name).least_version)
        check_driver(gpu, name)
    except EdgewrightError as error:
        return error
    return None


def engines() -> list[dict[str, Any]]:
    """One row per kept engine; ``usable`` says whether this machine can load it, None where that is not known."""
    sites = _sites()
    return [
        {**entry.as_dict(), "usable": None if sites is None else entry.key.site in sites} for entry in list_engines()
    ]


def prune(everything: bool) -> dict[str, Any]:
    """Remove engines that this machine cannot load, or all.

    Raises:
        MissingToolError: which of them it can load is not known, because there is no GPU or no library.
    """
    sites = None if everything else _sites()
    if sites is None and not everything:
        raise MissingToolError(
            "wanted to know which engines this machine can load",
            seen="no GPU, or no TensorRT",
            next_step="run: edgewright-runtime engines prune --all, which removes every engine",
        )
    removed, freed = prune_engines(sites)
    return {"removed": [str(path) for path in removed], "freed": freed}


def _libraries() -> dict[str, str]:
    """Library to version, of those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = library_version(name)
        except MissingToolError:
            continue
    return found


def _sites() -> list[Site] | None:
    """This machine, once per library; None when there is no GPU or no library."""
    try:
        gpu = find_gpu()
    except EdgewrightError:
        return None
    return [site_of(gpu, name, version) for name, version in _libraries().items()] or None
