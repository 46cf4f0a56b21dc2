"""``fleet.toml``: where devices find the fleet, where its state is kept, and which keys sign what."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from profiles.errors import ConfigError
from toolchain.project.common import Bytes, Frozen, problem
from toolchain.project.document import Document
from toolchain.project.problems import config_error

#: Name of the file.
FILE = "fleet.toml"
#: What may stand in a list of strings, as a pattern.
_ITEMS = r"""(?:[^\]"']|"(?:\\.|[^"\\])*"|'[^']*')*"""


T = TypeVar("T", bound=Frozen)


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise problem("is no address", seen=repr(text), allowed="http:// or https://, a host and a path")
    return text if text.endswith("/") else text + "/"


def _key(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    if not (colon and rest and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme)):
        raise problem("is no key", seen=repr(text), allowed="file2:PATH, or another scheme of securesystemslib")
    return text


Address = Annotated[str, AfterValidator(_address)]
KeyUri = Annotated[str, AfterValidator(_key)]


class Server(Frozen):
    """Where devices find the repository, and where they check in; empty until it is known."""

    url: Address = "http://127.0.0.1:8440/"
    checkin: Address = "http://127.0.0.1:8440/checkin/"


class Database(Frozen):
    """Where state is kept; SQLite's relative paths begin at the fleet's folder."""

    url: str = "sqlite:///fleet.db"


class Role(Frozen):
    """Who signs for one role of The Update Framework.

    Attributes:
        threshold: so many of the keys must sign.
        keys: their URIs: ``file2:keys/root-1.pem`` below the fleet's folder, ``hsm:…``, ``gcpkms:…``.
        expires_days: how long a signature is good for.
    """

    threshold: int = Field(ge=1)
    keys: tuple[KeyUri, ...] = Field(min_length=1)
    expires_days: float = Field(gt=0, le=36500)

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if len(set(self.keys)) != len(self.keys):
            raise problem("names a key twice", at=("keys",))
        if self.threshold > len(self.keys):
            raise problem("is more than there are keys", seen=str(self.threshold), allowed=f"{len(self.keys)} at most")
        return self


class Roles(Frozen):
    """Top-level roles (TUF specification, section 2.1), and the two that ``targets`` delegates to."""

    root: Role
    targets: Role
    snapshot: Role
    timestamp: Role
    releases: Role
    rollouts: Role


class BoardSlot(Frozen):
    """Where a board has its firmware: address of the primary slot, its size, bytes of the image's header."""

    address: int = Field(ge=0, lt=1 << 32)
    size: Bytes
    header: int = Field(default=0x200, ge=32, le=0x8000)


class FirmwareKey(Frozen):
    """What signs firmware for boards behind gateways: a private key (PEM) below the fleet's folder, and their slots."""

    key: str = "keys/firmware.pem"
    slots: dict[str, BoardSlot]


class Settings(Frozen):
    """The whole file."""

    server: Server = Server()
    database: Database = Database()
    roles: Roles
    firmware: FirmwareKey | None = None

    def role(self, name: str) -> Role:
        """The settings of one role, by its name in the repository."""
        found: Role = getattr(self.roles, name)
        return found

    def uris(self) -> tuple[str, ...]:
        """Where the keys of all roles are, each place once."""
        return tuple(dict.fromkeys(uri for name in Roles.model_fields for uri in self.role(name).keys))


def read_settings(path: Path) -> Settings:
    """Read and check ``fleet.toml``.

    Raises:
        ConfigError: it is not there, no TOML, or says something that cannot be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"wanted to read {path}", seen=str(error), next_step="make a fleet: edgewright fleet --home DIR init"
        ) from error
    return parse_settings(text, str(path))


def parse_settings(text: str, where: str) -> Settings:
    """The settings in a text.

    Raises:
        ConfigError: it is no TOML, or says something that cannot be.
    """
    try:
        document = Document(where, tomllib.loads(text), text)
        return Settings.model_validate(document.data)
    except ValidationError as error:
        raise config_error(error, Settings, document) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not valid TOML", seen=str(error), next_step="mend that line") from error


def make_section(kind: type[T], given: Mapping[str, str]) -> T:
    """A section from options.

    Raises:
        ConfigError: one of them says something that cannot be.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise config_error(error, kind, Document("command line", given)) from error


def settings_text(settings: Settings) -> str:
    """The file for these settings; what :func:`parse_settings` reads back."""
    lines = [
        "# A fleet. Devices get their addresses from their own configuration; these are for 'edgewright fleet'.",
        "[server]",
        f"url = {_quoted(settings.server.url)}",
        f"checkin = {_quoted(settings.server.checkin)}",
        "",
        "[database]",
        f"url = {_quoted(settings.database.url)}",
    ]
    for name in Roles.model_fields:
        role = settings.role(name)
        lines += ["", f"[roles.{name}]", f"threshold = {role.threshold}", f"keys = {_list(role.keys)}"]
        lines += [f"expires_days = {role.expires_days:g}"]
    return "\n".join(lines) + "\n"


def with_keys(text: str, role: str, keys: tuple[str, ...], where: str) -> str:
    """The same file with other keys for a role; everything else in it stays, comments too.

    Raises:
        ConfigError: the file is written in a way that this cannot do.
    """
    wanted = tomllib.loads(text)
    wanted["roles"][role]["keys"] = list(keys)
    pattern = rf"(?m)^(\[roles\.{role}\].*\n(?:(?!\[).*\n)*?keys\s*=\s*)\[{_ITEMS}\]"
    changed = re.sub(pattern, lambda found: found[1] + _list(keys), text, count=1)
    if _data(changed) != wanted:
        raise ConfigError(
            f"wanted to change the keys of {role} in {where}",
            seen="no plain list of keys under its heading",
            allowed=f'[roles.{role}] and a line keys = ["…"]',
            next_step=f"write there: keys = {_list(keys)}",
        )
    parse_settings(changed, where)
    return changed


def _data(text: str) -> object:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _quoted(text: str) -> str:
    """A TOML string; JSON's escapes are a part of TOML's."""
    import json

    return json.dumps(text, ensure_ascii=False)


def _list(values: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(each) for each in values)}]"
