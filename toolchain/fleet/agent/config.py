"""``agent.toml``, strictly: an unknown key is an error that names the nearest known one."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from toolchain.fleet.agent.answers import Limits
from toolchain.fleet.agent.provides import KEYS, this_python
from toolchain.fleet.documents import checks


@dataclasses.dataclass(frozen=True)
class Config:
    """What this device is in the fleet.

    Attributes:
        device, product, channel: its name, and what it follows.
        repository: address of the static files.
        checkin: address of the server for reports; empty sends none.
        folder: where everything lies that the agent keeps.
        labels: for waves.
        health: command that says whether the application is well; empty asks nobody.
        interval: seconds between two looks at the plan.
        limits: of downloads.
        provides: what the device is, where that cannot be found out.
        public_root: first root metadata; copied into the folder when the device is enrolled.
        python: runs bundles.
        check_seconds, check_memory: limits of one check of a bundle; memory in bytes, 0 is no limit.
        measure_seconds: how long latency is measured.
        health_seconds: until a health check counts as failed; it may wait by itself for the application.
        gateway: of a microcontroller board behind this device (:mod:`toolchain.fleet.gateway`); empty is none.
        home: folder of the configuration.
    """

    device: str
    product: str
    channel: str
    repository: str
    folder: Path
    checkin: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    health: tuple[str, ...] = ()
    interval: float = 300.0
    limits: Limits = dataclasses.field(default_factory=Limits)
    provides: Mapping[str, str] = dataclasses.field(default_factory=dict)
    public_root: Path | None = None
    python: str = dataclasses.field(default_factory=this_python)
    check_seconds: float = 3600.0
    check_memory: int = 0
    measure_seconds: float = 1.0
    health_seconds: float = 60.0
    gateway: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    home: Path = Path()

    @property
    def key(self) -> Path:
        """The device's private key."""
        return self.folder / "key.pem"


#: Key to type and smallest value.
_PLAIN: Mapping[str, type] = {
    "device": str, "product": str, "channel": str, "repository": str, "checkin": str, "folder": str,
    "public_root": str, "python": str, "interval": float, "check_seconds": float, "check_memory": int,
    "measure_seconds": float, "health_seconds": float,
}  # fmt: skip
#: Characters of a label's name, and of what it says, at most.
MOST_KEY, MOST_VALUE = 64, 1000
_NEEDED = ("device", "product", "channel", "repository", "folder")
_TABLES = ("labels", "limits", "provides", "health", "gateway")


def read_config(path: Path) -> Config:
    """Read a configuration; paths in it are relative to its folder.

    Raises:
        ConfigError: it cannot be read, or something in it cannot be.
    """
    data = _toml(path)
    _known(path, data, (*_PLAIN, *_TABLES), "")
    if missing := [key for key in _NEEDED if key not in data]:
        raise ConfigError(f"{path} lacks {', '.join(missing)}", allowed=", ".join((*_PLAIN, *_TABLES)))
    values = {key: _typed(path, key, data[key], kind) for key, kind in _PLAIN.items() if key in data}
    try:
        for key in ("device", "product", "channel"):
            checks.name(values[key], f"the {key}")
        for key in ("interval", "check_seconds", "measure_seconds", "health_seconds"):
            checks.between(values.get(key, 1.0), 0.01, 30 * 86400, f"{key} in seconds")
        checks.between(values.get("check_memory", 0), 0, 1 << 50, "check_memory in bytes")
    except ValueError as error:
        raise ConfigError(f"{path} makes no sense", seen=str(error)) from error
    home = path.absolute().parent
    paths: dict[str, Path] = {key: home / values[key] for key in ("folder", "public_root") if key in values}
    return Config(**{**values, **paths, **_tables(path, data), "home": home})


def _toml(path: Path) -> dict[str, Any]:
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"wanted the agent's configuration at {path}", seen=error.strerror or str(error),
            next_step="name it with --config FILE, or run: edgewright-agent enroll --help",
        ) from error  # fmt: skip
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML", seen=str(error)) from error
    return found


def _known(path: Path, data: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in data:
        if key not in allowed:
            raise ConfigError(
                f"{path} has an unknown key", seen=f"{where}{key}"[:80], allowed=", ".join(allowed),
                next_step=did_you_mean(key, allowed),
            )  # fmt: skip


def _typed(path: Path, key: str, value: Any, kind: type) -> Any:
    value = float(value) if kind is float and type(value) is int else value
    if type(value) is not kind:
        raise ConfigError(f"{path}: {key} must be of type {kind.__name__}", seen=repr(value)[:80])
    return value


def _tables(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("labels", "provides"):
        table = _typed(path, name, data.get(name, {}), dict)
        found[name] = {key: _line(path, name, key, value) for key, value in table.items()}
    _known(path, found["provides"], KEYS, "provides.")
    _decimal(path, found["provides"].get("memory", "0"))
    found["gateway"] = _typed(path, "gateway", data.get("gateway", {}), dict)
    health = _typed(path, "health", data.get("health", []), list)
    found["health"] = tuple(_typed(path, "health", word, str) for word in health)
    table = _typed(path, "limits", data.get("limits", {}), dict)
    kinds = {"bytes_per_second_min": float, "total_seconds": float, "bytes": int, "patience": float}
    _known(path, table, tuple(kinds), "limits.")
    found["limits"] = Limits(**{key: _positive(path, key, _typed(path, key, table[key], kinds[key])) for key in table})
    return found


def _line(path: Path, name: str, key: str, value: Any) -> str:
    """A value of a table that goes into reports and enrolments, which carry no others (``documents.report``)."""
    text: str = _typed(path, f"{name}.{key}"[:80], value, str)
    if not (key.isprintable() and 0 < len(key) <= MOST_KEY):
        raise ConfigError(
            f"{path}: a name in [{name}] cannot be reported", seen=f"{key[:80]!a}, {len(key)} characters",
            allowed=f"1 to {MOST_KEY} characters that can be printed",
        )  # fmt: skip
    if not (text.isprintable() and len(text) <= MOST_VALUE):
        raise ConfigError(
            f"{path}: {name}.{key} cannot be reported", seen=f"{text[:80]!a}, {len(text)} characters",
            allowed=f"at most {MOST_VALUE} characters that can be printed",
        )  # fmt: skip
    return text


def _decimal(path: Path, memory: str) -> None:
    if not (memory.isascii() and memory.isdigit()):
        raise ConfigError(
            f"{path}: provides.memory must be a number", seen=repr(memory[:80]), allowed='bytes, such as "8325574656"'
        )


def _positive(path: Path, key: str, value: Any) -> Any:
    if not 0 < value < float(1 << 60):
        raise ConfigError(f"{path}: limits.{key} must be more than 0", seen=str(value))
    return value
