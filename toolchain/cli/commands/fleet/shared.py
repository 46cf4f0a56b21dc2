"""What the commands of ``edgewright fleet`` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolchain.fleet.trust.repository import Repository


def add_passphrase(parser: argparse.ArgumentParser) -> None:
    """Where the passphrase of offline keys comes from."""
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="has the passphrase of the offline keys in its first line (default: EDGEWRIGHT_FLEET_PASSPHRASE, or ask)",
    )


def read_public(path: Path) -> bytes:
    """A file with a public key.

    Raises:
        ConfigError: it cannot be read.
    """
    from profiles.errors import ConfigError

    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"wanted a public key in {path}", seen=error.strerror or str(error), allowed="a PEM file"
        ) from error


def open_repository(args: argparse.Namespace) -> Repository:
    """The repository of ``--home``; a passphrase is asked for when an offline key must sign."""
    from toolchain.fleet.home import open_home
    from toolchain.fleet.trust.passphrases import ask_for
    from toolchain.fleet.trust.repository import Repository

    return Repository(open_home(args.home), ask_for(args.passphrase_file))
