"""What the commands share that work on the fleet's state: its database, and steering with online keys."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import getpass
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolchain.fleet.server.steering import Steering
    from toolchain.fleet.store import Store
    from toolchain.fleet.trust.repository import Repository

DAY = 86400.0


def add_channel(parser: argparse.ArgumentParser) -> None:
    """Which rollout."""
    parser.add_argument("--product", required=True, metavar="NAME", help="what devices are enrolled for")
    parser.add_argument("--channel", default="stable", metavar="NAME", help="(default: stable)")


def duration(text: str) -> float:
    """An ``argparse`` type: seconds, or with a unit: ``90``, ``15min``, ``24h``, ``7d``."""
    from profiles.arguments import seconds
    from profiles.errors import ConfigError
    from profiles.units import parse_quantity

    if text.endswith("d") and text[:-1].replace(".", "", 1).isdecimal():
        return float(text[:-1]) * DAY
    if text[-1:].isalpha():
        try:
            return parse_quantity(text, "s")
        except ConfigError as error:
            raise argparse.ArgumentTypeError(f"'{text}' is no time such as 90, 15min, 24h or 7d") from error
    return seconds(text)


@contextlib.contextmanager
def opened_store(args: argparse.Namespace) -> Iterator[Store]:
    """The state of the fleet at ``--home``."""
    from toolchain.fleet.home import open_home
    from toolchain.fleet.store import Store

    with Store(open_home(args.home).database_url) as store:
        yield store


@contextlib.contextmanager
def steering(args: argparse.Namespace, repository: Repository | None = None) -> Iterator[Steering]:
    """For acts that need online keys only."""
    from toolchain.fleet.home import open_home
    from toolchain.fleet.server.steering import Steering
    from toolchain.fleet.trust.repository import Repository

    repository = repository or Repository(open_home(args.home))
    with opened_store(args) as store:
        yield Steering(store, repository, time.time, operator())


def operator() -> str:
    """Whose account this is, for the log of decisions: as the system has it, not as the environment says."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        with contextlib.suppress(KeyError, OSError):
            return getpass.getuser()
        return "unknown"


def moment(when: float | None) -> str:
    """UTC to the second, or a dash for never."""
    if not when:
        return "–"
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def labels_text(labels: dict[str, str]) -> str:
    """``site=lab, room=3``."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "–"
