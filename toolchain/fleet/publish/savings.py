"""How many bytes a device fetches for a release, by the release that it has."""

from __future__ import annotations

import dataclasses

from toolchain.fleet.documents.release import Packed, Release
from toolchain.fleet.publish.deltas import RELEASES
from toolchain.fleet.trust.repository import Repository


@dataclasses.dataclass(frozen=True)
class Saving:
    """One bundle, for devices that have one release.

    Attributes:
        bundle: target, precision and device.
        base: version that the device has; 0 is none.
        full: bytes of all files.
        fetch: bytes that go over the network, without those of requests and metadata.
    """

    bundle: str
    base: int
    full: int
    fetch: int

    @property
    def share(self) -> str:
        """What is saved, for people."""
        return f"{1 - self.fetch / self.full:.1%}"


def savings(repository: Repository, release: Release) -> list[Saving]:
    """For a device that has nothing, and for those with one of the releases that deltas were made from."""
    versions = [each for each in repository.versions(release.product) if each < release.version]
    older = [repository.release(release.product, version) for version in reversed(versions[-RELEASES:])]
    rows = []
    for bundle in release.bundles:
        name = f"{bundle.target} {bundle.precision} for {bundle.depends.device}"
        rows.append(Saving(name, 0, bundle.size, to_fetch(bundle, set())))
        for base in older:
            has = _contents(base, bundle)
            if has:
                rows.append(Saving(name, base.version, bundle.size, to_fetch(bundle, has)))
    return rows


def _contents(release: Release, like: Packed) -> set[str]:
    """Hashes of all files of the bundle that such a device has of a release."""
    same = [each for each in release.bundles if each.depends.device == like.depends.device]
    return {file.content.sha256 for bundle in same[:1] for file in bundle.files}


def to_fetch(bundle: Packed, has: set[str]) -> int:
    """Bytes that a device fetches: files that it has count nothing, equal ones once, others by their shortest way."""
    total = 0
    for sha256, file in {file.content.sha256: file for file in bundle.files}.items():
        if sha256 not in has:
            patches = [delta.patch.size for delta in file.deltas if delta.base in has]
            total += min([file.content.size, *patches])
    return total
