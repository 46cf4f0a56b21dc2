"""A bundle as a part of a release: every file under its hash, what it needs, and the program that runs it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from profiles.errors import ConfigError
from targets.artifact import MANIFEST, Artifact, load_artifact
from targets.runtime import runtime_zipapp
from toolchain.fleet.documents import checks
from toolchain.fleet.documents.release import File, Packed
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.budget import budget_of, profile_of
from toolchain.fleet.publish.depends import BUILDS, depends_of

#: Where the bundle lies on a device, and the program beside it.
BUNDLE, RUNTIME = "bundle", "runtime.pyz"


def pack(
    folder: Path, blobs: Blobs, limits: Mapping[str, float], on_file: Callable[[str], None] = lambda name: None
) -> Packed:
    """Check a bundle and take up its files. ``profile.json`` stays behind: it is of another machine.

    Args:
        folder: the bundle.
        blobs: where its files go.
        limits: metric to limit, beside those of the project.
        on_file: is told the path of every file.

    Raises:
        ConfigError: it is no bundle, or one that no release can hold.
        VerificationError: a file differs from the manifest, or does not belong.
        OutputError: the disk refuses.
    """
    artifact = load_artifact(folder)
    depends = depends_of(artifact, profile_of(folder))
    files = []
    for name, digest in sorted({**artifact.files, MANIFEST: artifact.digest()}.items()):
        on_file(name)
        files.append(_file(folder, name, digest, blobs))
    runtime = _runtime(artifact, blobs)
    try:
        return Packed(
            artifact.target,
            artifact.precision,
            artifact.digest(),
            depends,
            (*files, runtime),
            budget_of(folder, limits),
            artifact.target in BUILDS,
        )
    except ValueError as error:
        raise _unfit(folder, error) from error


def _file(folder: Path, name: str, digest: str, blobs: Blobs) -> File:
    path, place = folder / name, f"{BUNDLE}/{name}"
    try:
        checks.path(place, "a file's path")
    except ValueError as error:
        raise _unfit(folder, error) from error
    return File(place, blobs.add_file(path, sha256=digest), bool(path.stat().st_mode & stat.S_IXUSR))


def _unfit(folder: Path, error: ValueError) -> ConfigError:
    return ConfigError(
        f"cannot publish {folder}", seen=str(error), next_step="change the bundle's project and build again"
    )


def _runtime(artifact: Artifact, blobs: Blobs) -> File:
    """The runtime for the bundle's target; equal sources give equal bytes, so that most releases share one."""
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        path = runtime_zipapp(artifact.target, Path(scratch) / RUNTIME)
        os.chmod(path, 0o644)
        return File(RUNTIME, blobs.add_file(path))
