"""The operator's folder: ``fleet.toml``, ``keys/``, ``repository/`` (what is served), ``root.json`` (for devices)."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from profiles.errors import ConfigError
from targets.files import output_error
from toolchain.fleet.settings import FILE, Database, Server, Settings, read_settings

#: Below the home: the first root metadata, which devices start to trust; and folders.
ROOT, KEYS, REPOSITORY = "root.json", "keys", "repository"


@dataclasses.dataclass(frozen=True)
class Home:
    """An operator's folder.

    Attributes:
        folder: absolute.
        settings: what ``fleet.toml`` said when the home was opened.
    """

    folder: Path
    settings: Settings

    @property
    def repository(self) -> Path:
        """What a web server serves: ``metadata/``, ``targets/``, ``blobs/``. Nothing in it is secret."""
        return self.folder / REPOSITORY

    @property
    def keys(self) -> Path:
        """Private keys, mode 0700."""
        return self.folder / KEYS

    @property
    def database_url(self) -> str:
        """For SQLAlchemy; the relative path of an SQLite file begins at the folder."""
        url = self.settings.database.url
        scheme, slashes, path = url.partition(":///")
        if not scheme.startswith("sqlite") or not slashes or not path or path.startswith(("/", ":", "file:")):
            return url
        return f"{scheme}:///{self.folder / path}"

    def root_metadata(self) -> bytes:
        """The first root metadata: what a new device starts to trust; from it, it finds its way to the newest.

        Raises:
            ConfigError: it is not there.
        """
        try:
            return (self.folder / ROOT).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"wanted to read {self.folder / ROOT}",
                seen=error.strerror or str(error),
                next_step=f"restore it: it is {REPOSITORY}/metadata/1.root.json of the beginning",
            ) from error


def open_home(path: Path | str) -> Home:
    """An existing fleet.

    Raises:
        ConfigError: there is none, or its ``fleet.toml`` cannot be used.
    """
    folder = Path(path).absolute()
    return Home(folder, read_settings(folder / FILE))


def create_home(
    path: Path | str,
    *,
    passphrase: Callable[[str], str],
    server: Server | None = None,
    database: Database | None = None,
    external: Sequence[tuple[str, str, bytes]] = (),
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> Home:
    """A new fleet with keys and an empty, signed repository, whole or not at all.

    Args:
        path: a folder that is not there yet, or is empty.
        passphrase: what the offline keys (root, targets, releases) are encrypted with, by the name of the key.
        server, database: sections of ``fleet.toml``.
        external: role, URI and public key (PEM) of keys that signers outside of this folder hold; a role that has some
            gets no others.
        sizes: role to how many keys must sign, of how many; others as in ``toolchain.fleet.trust.roles.DEFAULTS``.

    Raises:
        ConfigError: something is there already, a passphrase is too short, or a role cannot be signed for like this.
        OutputError: the place cannot be written.
    """
    from toolchain.fleet.trust.founding import found_repository, make_roles

    folder = Path(path).absolute()
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(
            f"wanted to make a fleet in {folder}", seen="something is there already", next_step="choose another --home"
        )
    staging = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        staging.mkdir(parents=True)
        if folder.is_dir():  # as closed as its owner has made it
            staging.chmod(stat.S_IMODE(folder.stat().st_mode))
        keys, roles = make_roles(staging, passphrase, external, sizes or {})
        found_repository(
            staging, Settings(server=server or Server(), database=database or Database(), roles=roles), keys
        )
        staging.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return open_home(folder)
