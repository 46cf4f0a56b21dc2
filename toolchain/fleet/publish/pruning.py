"""Files of releases that nobody can ask for any more.

What stays is what a device may ask for that follows the plans as they are, or as they were a day ago: a plan that was
replaced stays that long in the repository, as old metadata does (:mod:`toolchain.fleet.trust.pruning`), and what it
leads to stays with it. The signed documents of all releases stay too. Whoever is killed has removed some of what had to
go and nothing else; the next one goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from profiles.errors import ConfigError, VerificationError
from targets.files import output_error
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.documents.release import Blob, Release
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.retention import kept
from toolchain.fleet.trust.pruning import KEEP
from toolchain.fleet.trust.reading import Reader
from toolchain.fleet.trust.state import BLOBS, TARGETS


@dataclasses.dataclass(frozen=True)
class Fate:
    """A release: why its files stay, empty if they go, and the bytes that go with it and with no newer one."""

    product: str
    version: int
    stays: str
    bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Survey:
    """What can go.

    Attributes:
        releases: all, by product, the newest first.
        files: to remove.
        bytes: of these files.
        young: files that no release needs, and that were written within the last day: somebody may be publishing.
    """

    releases: tuple[Fate, ...]
    files: tuple[Path, ...]
    bytes: int
    young: int


def survey(reader: Reader, devices: Mapping[str, Mapping[int, int]], plans: Sequence[Plan], keep: int) -> Survey:
    """Look at the whole repository; changes nothing.

    Args:
        reader: of the repository.
        devices: product to version to how many devices run it, or are about to.
        plans: that were decided on, whether they are published already or not.
        keep: see :func:`toolchain.fleet.publish.retention.kept`.

    Raises:
        VerificationError: the repository is damaged; then nothing is known to be of no use.
    """
    releases = sorted(reader.releases(), key=lambda each: (each.product, -each.version))
    planned = _planned([*plans, *reader.plans(), *_replaced(reader.home.repository)])
    reasons = {
        product: kept(
            [each.version for each in releases if each.product == product],
            planned.get(product, {}), devices.get(product, {}), keep,
        )
        for product in {each.product for each in releases}
    }  # fmt: skip
    stays = [each for each in releases if each.version in reasons[each.product]]
    needed = {blob.sha256 for each in stays for blob in blobs_of(each)}
    old, young = _others(reader.home.repository, needed)
    files, total = tuple(old.values()), sum(map(_size, old.values()))
    fates = []
    for each in releases:
        going = [old.pop(sha256) for sha256 in sorted({blob.sha256 for blob in blobs_of(each)} & set(old))]
        why = reasons[each.product].get(each.version, "")
        fates.append(Fate(each.product, each.version, why, sum(map(_size, going))))
    return Survey(tuple(fates), files, total, young)


def blobs_of(release: Release) -> Iterator[Blob]:
    """Every file of a release, and every patch."""
    for bundle in release.bundles:
        for file in bundle.files:
            yield file.content
            yield from (delta.patch for delta in file.deltas)


def check_whole(reader: Reader, product: str, version: int) -> None:
    """Refuse a release that no device could fetch.

    Raises:
        ConfigError: there is no such release, or files of it are gone.
        VerificationError: the repository is damaged.
    """
    release, blobs = reader.release(product, version), Blobs(reader.home.repository)
    if gone := sum(not blobs.has(blob) for blob in blobs_of(release)):
        raise ConfigError(
            f"devices could not fetch version {version} of {product}",
            seen=f"{gone} of its files are gone: 'fleet prune' removed them, or they were lost",
            next_step="publish its bundles again: edgewright fleet publish",
        )


def _planned(plans: Sequence[Plan]) -> dict[str, dict[int, str]]:
    """Product to version to the channels that go there, or went there within the last day."""
    found: dict[str, dict[int, list[str]]] = {}
    for plan in plans:
        channels = found.setdefault(plan.product, {}).setdefault(plan.release, [])
        if plan.channel not in channels:
            channels.append(plan.channel)
    return {
        product: {version: f"rollout on {', '.join(channels)}" for version, channels in versions.items()}
        for product, versions in found.items()
    }


def _replaced(repository: Path) -> Iterator[Plan]:
    """Plans that still lie there, whoever names them; what is no plan leads no device anywhere."""
    for path in (repository / TARGETS / "rollouts").glob("*/*.json"):
        with contextlib.suppress(VerificationError, OSError):
            yield strict.from_bytes(Plan, path.read_bytes())


def _others(repository: Path, needed: set[str]) -> tuple[dict[str, Path], int]:
    """Blobs that are not needed, by their hash, and how many more there are that are too young to go."""
    old: dict[str, Path] = {}
    young = 0
    for path in (repository / BLOBS).glob("??/*"):
        if path.name in needed or not re.fullmatch(r"[0-9a-f]{64}", path.name) or not path.is_file():
            continue
        if _is_old(path):
            old[path.name] = path
        else:
            young += 1
    return old, young


def _is_old(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > KEEP
    return False


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def remove(found: Survey) -> None:
    """Remove what a survey found; the caller has had the repository's lock since before the survey.

    Raises:
        OutputError: the disk refuses; what is gone until then was of no use either.
    """
    for path in found.files:
        if not _is_old(path):
            continue  # somebody publishes just what it holds
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(path, error) from error
