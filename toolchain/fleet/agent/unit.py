"""The systemd unit, from its template."""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
import sys
from pathlib import Path

from profiles.errors import ConfigError
from toolchain.fleet.agent.cli import PROGRAM
from toolchain.fleet.agent.config import Config

TEMPLATE = "edgewright-agent.service"
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?")
_PATH = re.compile(r"/[A-Za-z0-9._/+-]*")


def unit_text(config: Config, path: Path, user: str) -> str:
    """The unit for a configuration file.

    Raises:
        ConfigError: a user or a path that a unit cannot hold without quoting.
    """
    if not _USER.fullmatch(user):
        raise ConfigError("wanted the name of a user", seen=repr(user[:40]), allowed="as useradd(8) allows them")
    words = [*command(), str(path), str(config.folder)]
    for word in words:
        if not _PATH.fullmatch(word) and word != "-m" and not re.fullmatch(r"[a-z.]+", word):
            raise ConfigError(
                "wanted a path without blanks and special characters", seen=repr(word[:200]), allowed=_PATH.pattern
            )
    values = {
        "DEVICE": config.device, "USER": user, "COMMAND": " ".join(command()), "CONFIG": str(path),
        "FOLDER": str(config.folder), "HOME": "read-only" if _is_at_home(words) else "yes",
    }  # fmt: skip
    text = (importlib.resources.files("toolchain.fleet.agent") / TEMPLATE).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text)


def _is_at_home(words: list[str]) -> bool:
    """Whether something that the unit needs lies where ``ProtectHome=yes`` would hide it (systemd.exec(5)).

    A virtual environment's interpreter is often a link to one that pyenv or uv put there.
    """
    places = [*words, *(os.path.realpath(word) for word in words if word.startswith("/"))]
    return any(place.startswith(("/home/", "/root/", "/run/user/")) for place in places)


def hidden(config: Config, path: Path) -> list[str]:
    """What of an agent the unit's ``PrivateTmp=yes`` would hide from it (systemd.exec(5))."""
    words = [*command(), str(path), str(config.folder)]
    return [word for word in words if word.startswith(("/tmp/", "/var/tmp/"))]


def command() -> list[str]:
    """How this very program is started: the zipapp, the installed script, or the module."""
    here = Path(sys.argv[0]).absolute()
    if here.is_file() and here.suffix in (".pyz", ""):
        return [sys.executable, str(here)] if here.suffix == ".pyz" else [str(here)]
    found = shutil.which(PROGRAM)
    return [found] if found else [sys.executable, "-m", "toolchain.fleet.agent.main"]
