"""The next release of a product."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from profiles.errors import ConfigError, VerificationError
from toolchain.fleet.documents import checks, strict
from toolchain.fleet.documents.release import Packed, Release
from toolchain.fleet.gateway.publish import with_images
from toolchain.fleet.home import Home
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.deltas import RELEASES, Deltas
from toolchain.fleet.publish.packing import pack
from toolchain.fleet.publish.pruning import blobs_of
from toolchain.fleet.trust.repository import Repository

#: Called with what is done now, how many files are done, and of how many.
Progress = Callable[[str, int, int], None]


def _quiet(what: str, done: int, total: int) -> None:
    pass


def publish(
    home: Home,
    repository: Repository,
    bundles: Sequence[Path],
    *,
    product: str,
    title: str = "",
    notes: str = "",
    limits: Mapping[str, float] | None = None,
    on_progress: Progress = _quiet,
) -> Release:
    """Sign bundles as the next release of a product. Devices take it when a rollout says so.

    Args:
        home, repository: whose; the keys of ``releases`` must be able to sign.
        bundles: folders; a device takes the first that fits it.
        product: what devices are enrolled for; a new name is a new product.
        title, notes: for people.
        limits: metric to limit in SI base units, for all of the bundles, before those of their project.
        on_progress: is told what is done.

    Raises:
        ConfigError: a bundle that no release can hold, two for the same devices, or keys that cannot sign.
        VerificationError: a bundle, or the repository, is not what its manifest or metadata says.
        OutputError: the disk refuses.
    """
    _checked(product, bundles)
    blobs = Blobs(home.repository)
    blobs.sweep()
    packed = []
    for number, folder in enumerate(bundles):
        on_progress(f"check and pack {folder.name}", number, len(bundles))
        packed.append(pack(folder, blobs, limits or {}))
    _no_twins(packed)
    draft = Release(product, 1, title or product, "", tuple(packed), notes=notes)
    return _sign(repository, blobs, draft, on_progress)


def repeat(
    home: Home,
    repository: Repository,
    product: str,
    version: int,
    *,
    title: str = "",
    notes: str = "",
    on_progress: Progress = _quiet,
) -> Release:
    """Sign the bundles of an older release as the next one, so that a fleet goes back and versions only grow.

    Raises:
        ConfigError: there is no such release, or keys cannot sign.
        VerificationError: the repository is damaged, or lacks a file of that release.
        OutputError: the disk refuses.
    """
    old = repository.release(product, version)
    blobs = Blobs(home.repository)
    for file in (file for bundle in old.bundles for file in bundle.files):
        blobs.use_again(file.content)
        blobs.check(file.content)
    bundles = tuple(
        dataclasses.replace(each, files=tuple(dataclasses.replace(file, deltas=()) for file in each.files))
        for each in old.bundles
    )
    title = title or f"back to version {version}: {old.title}"
    return _sign(repository, blobs, dataclasses.replace(old, title=title, notes=notes, bundles=bundles), on_progress)


def _checked(product: str, bundles: Sequence[Path]) -> None:
    try:
        checks.name(product, "a product")
    except ValueError as error:
        raise ConfigError(
            "wanted the name of a product", seen=str(error), next_step="choose another --product"
        ) from error
    if not bundles:
        raise ConfigError("wanted bundles to publish", seen="none", next_step="name their folders")


def _no_twins(bundles: Sequence[Packed]) -> None:
    seen: dict[str, Packed] = {}
    for bundle in bundles:
        key = repr(dataclasses.astuple(bundle.depends))
        if key in seen:
            raise ConfigError(
                f"two bundles are for the same devices ({bundle.depends.device})",
                seen=f"{seen[key].target} {seen[key].precision} and {bundle.target} {bundle.precision}",
                allowed="one that fits a device",
                next_step="leave one of them out, or publish them as two products",
            )
        seen[key] = bundle


def _sign(repository: Repository, blobs: Blobs, draft: Release, on_progress: Progress) -> Release:
    """Deltas against the newest releases, then the next version; again if another process took it meanwhile."""
    while True:
        versions = repository.versions(draft.product)
        older = [repository.release(draft.product, version) for version in reversed(versions[-RELEASES:])]
        signed = with_images(draft.bundles, blobs, repository, max(versions, default=0) + 1)
        bundles = _with_deltas(signed, Deltas(blobs, older), on_progress)
        repeats = draft.version if draft.created else 0
        release = dataclasses.replace(
            draft, version=max(versions, default=0) + 1, created=_now(), bundles=bundles, repeats=repeats
        )
        if (size := len(strict.to_bytes(release))) > strict.MOST_BYTES:
            raise ConfigError(
                "the release has too many files", seen=f"{size} bytes of JSON", allowed=f"{strict.MOST_BYTES} bytes"
            )
        with repository.locked():
            _all_there(release, blobs)
            if repository.add_release_after(release, max(versions, default=0)):
                return release


def _all_there(release: Release, blobs: Blobs) -> None:
    """Files of old releases are removed under the same lock: none that this one shares with them may be gone."""
    for blob in blobs_of(release):
        if not blobs.has(blob):
            raise VerificationError(
                f"wanted {blobs.path(blob)}", seen="it went while the release was made", next_step="publish again"
            )


def _with_deltas(bundles: Sequence[Packed], deltas: Deltas, on_progress: Progress) -> tuple[Packed, ...]:
    total, done, found = sum(len(bundle.files) for bundle in bundles), 0, []
    for bundle in bundles:
        files = []
        for file in bundle.files:
            on_progress(f"deltas of {file.path}", done, total)
            files.append(dataclasses.replace(file, deltas=deltas.of(bundle, file)))
            done += 1
        found.append(dataclasses.replace(bundle, files=tuple(files)))
    return tuple(found)


def _now() -> str:
    """RFC 3339, UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
