"""``edgewright runtime``."""

from __future__ import annotations

import argparse
from pathlib import Path

from profiles.streams import tell


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--target", required=True, metavar="NAME", help="the engine that the device has")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.pyz", help="the program to write")


def run(args: argparse.Namespace) -> int:
    """Write one file that a device with Python 3.10, numpy and the engine can run; nothing is installed there."""
    from targets.runtime import runtime_zipapp

    path = runtime_zipapp(args.target, args.out)
    path.chmod(0o755)
    tell(f"wrote {path}; on the device: python3 {path.name} --help")
    return 0
