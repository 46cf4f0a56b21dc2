"""What the template needs, checked, and the text that comes of it."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path

from profiles.errors import ConfigError
from toolchain.fleet.documents.report import MOST_REPORT

TEMPLATES = Path(__file__).parent
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_UPSTREAM = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_LISTEN = re.compile(r"(?:(?:[A-Za-z0-9._-]+|\*|\[[0-9A-Fa-f:.]*\]):)?(?P<port>[0-9]{1,5})")
_PREFIX = re.compile(r"/(?:[A-Za-z0-9_-]+/)*")
_PATH = re.compile(r"/[^\x00-\x1f\x7f\"'\\;{}$`]*")


@dataclasses.dataclass(frozen=True)
class Settings:
    """One web server.

    Attributes:
        repository: folder that is served, absolute.
        name: the server's name, or ``_`` for any.
        listen: addresses, as nginx takes them: ``443``, ``[::]:443``, ``127.0.0.1:8080``.
        prefix: path of the check-in API, with a slash at both ends.
        upstream: where ``edgewright fleet serve`` listens, ``host:port``.
        certificate, certificate_key: PEM files, both or none.
        status_from: networks whose people may see the status page; none are nobody.
        checkins_per_second, burst: of one address, before it gets 429. Many devices may stand behind one address.
        connections: at a time of one address.
        rate: bytes per second of one download; 0 is unlimited.
        folder: for a whole nginx of its own there, absolute; None is a file for an installed nginx.
        workers: processes of such a one.
        user: whom these belong to, where nginx is started by root; empty is nginx's own choice.
    """

    repository: Path
    name: str = "_"
    listen: tuple[str, ...] = ("80", "[::]:80")
    prefix: str = "/checkin/"
    upstream: str = "127.0.0.1:8440"
    certificate: Path | None = None
    certificate_key: Path | None = None
    status_from: tuple[str, ...] = ()
    checkins_per_second: int = 50
    burst: int = 200
    connections: int = 64
    rate: int = 0
    folder: Path | None = None
    workers: int = 1
    user: str = ""
    most_body: int = MOST_REPORT

    def __post_init__(self) -> None:
        for path in (self.repository, self.certificate, self.certificate_key, self.folder):
            if path is not None and not _PATH.fullmatch(str(path)):
                raise _wrong("an absolute path", str(path), "letters, digits, spaces; none of \" ' \\ ; { } $ `")
        if (self.certificate is None) != (self.certificate_key is None):
            raise _wrong("a certificate and its key", "one of them", "--certificate and --certificate-key, or neither")
        if not _PREFIX.fullmatch(self.prefix):
            raise _wrong("the path of the check-in API", self.prefix, "such as / or /checkin/")
        if self.user and not _HOST.fullmatch(self.user):
            raise _wrong("a user", self.user, "the name of an account")
        if self.name != "_" and not _HOST.fullmatch(self.name):
            raise _wrong("the server's name", self.name, "a host name, or _ for any")
        for pattern, texts, what in (
            (_LISTEN, self.listen, "[address:]port"),
            (_UPSTREAM, (self.upstream,), "host:port"),
        ):
            for text in texts:
                _address(pattern, text, what)
        for network in self.status_from:
            _network(network)
        for number in (self.checkins_per_second, self.burst, self.connections, self.workers):
            if not 1 <= number <= 1_000_000:
                raise _wrong("a limit", str(number), "1 to 1000000")
        if not self.listen or self.rate < 0:
            raise _wrong(
                "an address to listen on, and a rate of 0 or more", f"{self.listen}, {self.rate}", "see --help"
            )

    @property
    def standalone(self) -> bool:
        """Whether it is a whole nginx in a folder."""
        return self.folder is not None


def _wrong(wanted: str, seen: str, allowed: str) -> ConfigError:
    return ConfigError(f"wanted {wanted} for nginx", seen=seen[:200], allowed=allowed)


def _address(pattern: re.Pattern[str], text: str, allowed: str) -> None:
    match = pattern.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise _wrong("an address", text, allowed)


def _network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise _wrong("a network", text, "such as 10.0.0.0/8 or 2001:db8::/32") from error


def render(settings: Settings) -> str:
    """The configuration: a file for ``conf.d``, or with ``folder`` a whole ``nginx.conf``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # plain text for nginx, not HTML; Settings has refused what could end a string
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    server = environment.get_template("fleet.conf.j2").render(s=settings)
    if not settings.standalone:
        return server
    return environment.get_template("standalone.conf.j2").render(s=settings, server=server)
