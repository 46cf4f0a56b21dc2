"""From a model and an ``edge.toml`` to measured, verified bundles.

``build`` and ``profile`` do what the commands of these names do, and return the objects that they print.
Importing this package loads neither torch nor any engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from profiles.errors import EdgewrightError
    from profiles.profiler import Profile
    from targets.artifact import Artifact
    from toolchain.progress import Progress
    from toolchain.project.models import Project
    from toolchain.summary import BuildResult

__version__ = "0.1.0"
__all__ = ["__version__", "build", "profile"]


def build(project: Project | str | Path, *, progress: Progress | None = None, **options: Any) -> BuildResult:
    """Build, verify and measure a bundle for every device of a project.

    Args:
        project: an ``edge.toml``, or a loaded project.
        progress: shows what is going on; silent by default.
        options: fields of :class:`toolchain.pipeline.Options`: ``out``, ``jobs``, ``cache``, ``settings``, ``profile``.

    Raises:
        EdgewrightError: the first thing that stands in the way.
    """
    from toolchain.pipeline import Options
    from toolchain.pipeline import build as run
    from toolchain.project import load_project

    loaded = load_project(project) if isinstance(project, (str, Path)) else project
    if "out" in options:
        options["out"] = Path(options["out"])
    return run(loaded, Options(**options), progress)


def profile(
    bundle: str | Path,
    *,
    via: str = "local",
    python: str = "",
    runs: int | None = None,
    seconds: float = 1.0,
    progress: Progress | None = None,
) -> Profile:
    """Check a bundle's golden outputs on a machine, measure it there, and keep the result in the bundle.

    Args:
        bundle: its folder.
        via: ``local``, ``ssh://user@host:port`` or ``serial:///dev/PORT``.
        python: the interpreter on that machine.
        runs: exactly this many timed inferences; None goes by ``seconds``.
        seconds: at least this long.
        progress: shows what is going on; silent by default.

    Raises:
        EdgewrightError: the bundle is damaged, the machine cannot be reached, or it computes something else.
    """
    from profiles.errors import MissingToolError, UnsupportedError
    from profiles.sampling import Settings
    from targets.artifact import load_artifact
    from targets.measure import profile_bundle, verify_bundle, write_profile
    from toolchain.progress import Progress
    from toolchain.steps.planned import planned, with_planned

    artifact = load_artifact(Path(bundle))
    address = "" if via == "local" else via
    shown = progress or Progress(quiet=True)
    with shown.step("check golden outputs"):
        try:
            verify_bundle(artifact, via=address, python=python)
        except (MissingToolError, UnsupportedError) as error:
            raise (error if address else _also_elsewhere(error, artifact)) from error
    with shown.step("measure") as step:
        settings = Settings(runs=runs, seconds=seconds)
        measured = profile_bundle(artifact, settings, via=address, python=python, progress=step.update)
    found = with_planned(measured, planned(artifact))
    write_profile(artifact.folder, found)
    return found


def _also_elsewhere(error: EdgewrightError, artifact: Artifact) -> EdgewrightError:
    """What a machine lacks, and that another one may have it, for a bundle that its own builder could not run."""
    if not artifact.not_run or "--via" in error.next_step:
        return error
    there = f"measure it on its device: edgewright profile {artifact.folder} --via ssh://user@host"
    return type(error)(error.wanted, seen=error.seen, allowed=error.allowed, next_step=f"{there}; or {error.next_step}")
