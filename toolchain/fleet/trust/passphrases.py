"""Where passphrases come from: a file, the environment, or a prompt. Never an argument, which every user can see."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from profiles.errors import ConfigError

VARIABLE = "EDGEWRIGHT_FLEET_PASSPHRASE"
_SOURCES = f"--passphrase-file FILE, {VARIABLE}, or a terminal to ask at"


def ask_for(file: Path | None, *, new: bool = False) -> Callable[[str], str]:
    """What gives the passphrase of a key by its name.

    Args:
        file: has the passphrase of all keys in its first line; None where there is no such file.
        new: it is for keys that are made now, so a prompt asks twice, and once for all of them.

    Raises:
        ConfigError: the file cannot be read, or everybody can read it.
    """
    if file is not None:
        given = _from_file(file)
        return lambda name: given
    if (found := os.environ.get(VARIABLE)) is not None:
        return lambda name: found
    return _Prompt(new)


def _from_file(path: Path) -> str:
    try:
        status = path.stat()
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        seen = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigError(f"wanted to read the passphrase in {path}", seen=str(seen), allowed=_SOURCES) from None
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        raise ConfigError(
            f"the passphrase file {path} is open to others",
            seen=f"mode {stat.S_IMODE(status.st_mode):04o}",
            allowed="0600",
            next_step=f"run: chmod 600 {path}",
        )
    return text.partition("\n")[0].rstrip("\r")


class _Prompt:
    """Asks at the terminal; a new passphrase is asked for twice."""

    def __init__(self, new: bool) -> None:
        self._new = new
        self._chosen: str | None = None

    def __call__(self, name: str) -> str:
        if not (sys.stdin and sys.stdin.isatty()):
            raise ConfigError(f"wanted the passphrase of {name}", seen="none was given", allowed=_SOURCES)
        if not self._new:
            return getpass.getpass(f"passphrase of {name}: ")
        if self._chosen is None:
            self._chosen = getpass.getpass("passphrase for the new offline keys: ")
            if getpass.getpass("again: ") != self._chosen:
                raise ConfigError("wanted the same passphrase twice", seen="two different ones", next_step="try again")
        return self._chosen
