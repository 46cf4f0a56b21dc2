"""A release: bundles of one product under one version, and what each needs of a device.

It is a TUF target, ``releases/PRODUCT/VERSION.json``. Its files are not: they lie under their SHA-256, as
``blobs/AB/ABCD…``, and the release says hash and size of each, so that trust in the release is trust in them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from toolchain.fleet.documents import checks

#: Bytes of a file and of all files of a bundle, and files of a bundle, at most.
MOST_FILE, MOST_BUNDLE, MOST_FILES = 8 << 30, 16 << 30, 10_000


@dataclasses.dataclass(frozen=True)
class Blob:
    """Bytes in the repository, by their hash."""

    sha256: str
    size: int

    def __post_init__(self) -> None:
        checks.sha256(self.sha256, "a blob's hash")
        checks.between(self.size, 0, MOST_FILE, "a blob's size in bytes")

    @property
    def url_path(self) -> str:
        """Where it lies, below the repository's address."""
        return f"blobs/{self.sha256[:2]}/{self.sha256}"


@dataclasses.dataclass(frozen=True)
class Delta:
    """How to make a file from one that a device may have already.

    Attributes:
        base: SHA-256 of the file that it starts from.
        patch: a zstd frame that has the base as its dictionary (``zstd --patch-from``).
    """

    base: str
    patch: Blob

    def __post_init__(self) -> None:
        checks.sha256(self.base, "a delta's base")


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a bundle.

    Attributes:
        path: below the bundle's folder.
        content: what it holds.
        executable: whether the owner may run it.
        deltas: shorter ways to the same content.
    """

    path: str
    content: Blob
    executable: bool = False
    deltas: tuple[Delta, ...] = ()

    def __post_init__(self) -> None:
        checks.path(self.path, "a file's path")


@dataclasses.dataclass(frozen=True)
class Depends:
    """What a bundle needs of a device; empty or 0 is anything.

    Attributes:
        device: name of the device profile.
        machine: as ``uname -m`` says it: ``x86_64``, ``aarch64``, ``armv7l``.
        isa: features that the processor must have, such as ``avx2``.
        sm: compute capabilities of GPUs of which one must be there, such as ``8.7``.
        packages: name to a version specifier (PEP 440), such as ``{"ai-edge-litert": ">=2.3,<2.4"}``.
        memory: bytes.
        board: of a microcontroller behind a gateway.
    """

    device: str
    machine: str = ""
    isa: tuple[str, ...] = ()
    sm: tuple[str, ...] = ()
    packages: Mapping[str, str] = dataclasses.field(default_factory=dict)
    memory: int = 0
    board: str = ""

    def __post_init__(self) -> None:
        checks.name(self.device, "a device profile")
        checks.between(self.memory, 0, 1 << 50, "memory in bytes")


@dataclasses.dataclass(frozen=True)
class Limit:
    """One line of a bundle's budget: ``metric`` (as in ``summary.json``, SI units) may be ``most`` at the most."""

    metric: str
    most: float

    def __post_init__(self) -> None:
        checks.name(self.metric, "a metric")


@dataclasses.dataclass(frozen=True)
class Packed:
    """A bundle in a release.

    Attributes:
        target, precision: what made it.
        digest: SHA-256 of its ``manifest.json``.
        depends: what it needs.
        files: all of them, ``runtime.pyz`` included where the bundle has one.
        budget: what is held against measurements on the device.
        builds: the device compiles before it can run (an engine per GPU).
    """

    target: str
    precision: str
    digest: str
    depends: Depends
    files: tuple[File, ...]
    budget: tuple[Limit, ...] = ()
    builds: bool = False

    def __post_init__(self) -> None:
        checks.name(self.target, "a target")
        checks.sha256(self.digest, "a bundle's digest")
        checks.between(len(self.files), 1, MOST_FILES, "the number of files")
        checks.between(self.size, 1, MOST_BUNDLE, "a bundle's size in bytes")
        names = [each.path.casefold() for each in self.files]
        if len(set(names)) != len(names):
            raise ValueError("two files have one name")
        if _folders(names) & set(names):
            raise ValueError("a file has the name of a folder")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.content.size for each in self.files)


def _folders(names: list[str]) -> set[str]:
    return {"/".join(parts[:count]) for parts in (each.split("/") for each in names) for count in range(1, len(parts))}


@dataclasses.dataclass(frozen=True)
class Release:
    """One version of a product.

    Attributes:
        product: what a device is enrolled for.
        version: larger than that of every release before: a device never goes to a smaller one.
        title: for people.
        created: RFC 3339, UTC.
        bundles: at most one that fits a device; the first that does is taken.
        repeats: the version whose bundles these are, when a release brings an older one back; else 0.
        notes: for people.
    """

    product: str
    version: int
    title: str
    created: str
    bundles: tuple[Packed, ...]
    repeats: int = 0
    notes: str = ""

    def __post_init__(self) -> None:
        checks.name(self.product, "a product")
        checks.between(self.version, 1, 1 << 31, "a version")
        checks.between(len(self.bundles), 1, 100, "the number of bundles")
        checks.between(self.repeats, 0, self.version - 1, "the version that is repeated")

    @property
    def target_path(self) -> str:
        """Its name as a TUF target."""
        return release_path(self.product, self.version)


def release_path(product: str, version: int) -> str:
    """The TUF target of a release."""
    return f"releases/{product}/{version}.json"
