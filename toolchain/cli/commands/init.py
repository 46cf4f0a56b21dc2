"""``edgewright init``."""

from __future__ import annotations

import argparse
from pathlib import Path

from profiles.errors import ConfigError
from toolchain.streams import tell


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("folder", nargs="?", default=".", help="where to write edge.toml (default: here)")
    parser.add_argument("--force", action="store_true", help="overwrite an existing edge.toml")


def run(args: argparse.Namespace) -> int:
    """Write a starter project that builds as it is."""
    from targets.artifact import write_bytes
    from toolchain.project.starter import starter_text

    path = Path(args.folder) / "edge.toml"
    if path.exists() and not args.force:
        raise ConfigError(
            f"wanted to write {path}", seen="a file of that name", next_step="use --force, or choose another folder"
        )
    write_bytes(path, starter_text().encode())
    tell(f"wrote {path}; next: edgewright build {path}")
    return 0
