"""What answers of a web server mean, in our words; limits of a round; and addresses."""

from __future__ import annotations

import dataclasses
import http.client
import json
from urllib.parse import urlsplit

from profiles.errors import ConfigError, RefusedError, UnreachableError, VerificationError
from toolchain.fleet.agent.words import one_line

#: Bytes of an answer that is no file, at most.
MOST_ANSWER = 64 << 10


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of one round.

    Attributes:
        bytes_per_second_min: slower than this over ``patience`` seconds is too slow.
        total_seconds: of all downloads together.
        bytes: of all downloads together.
        patience: seconds without an answer, and seconds over which the rate is taken.
    """

    bytes_per_second_min: float = 1000.0
    total_seconds: float = 6 * 3600.0
    bytes: int = 16 << 30
    patience: float = 20.0


class HttpError(UnreachableError):
    """The server answered with an error; ``status`` is HTTP's."""

    status = 0


class UnknownError(RefusedError):
    """The server does not know who asks: a wrong token or key, or a device that it has forgotten."""


class StillRefusedError(RefusedError):
    """The server refused this device with its newest answer; it was asked again, and gave none."""


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port.

    Raises:
        ConfigError: it is no address of a web server.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        if not parts.hostname or parts.username is not None:
            raise ValueError("no host, or a password in it")
        return parts.scheme, parts.hostname, port
    except (ValueError, KeyError) as error:
        raise ConfigError(
            "wanted the address of a web server", seen=repr(url[:80]), allowed="http://HOST/… or https://HOST/…"
        ) from error


def check(answer: http.client.HTTPResponse, path: str, *, asks: bool) -> None:
    """Raise what an answer other than 200 and 206 means.

    ``asks``: the check-in is asked, which may refuse this device; a mirror of files may not, whatever it says.
    """
    if answer.status in (200, 206):
        return
    told = _told(answer.read(MOST_ANSWER))
    if asks and answer.status in (401, 403) and told:
        raise (RefusedError if answer.status == 403 else UnknownError)(told.pop("wanted"), **told)
    error = HttpError(
        told.get("wanted") or f"wanted {path} from the server",
        seen=one_line(f"{answer.status} {answer.reason}") + (f": {told['seen']}" if told.get("seen") else ""),
        allowed=told.get("allowed", ""),
        next_step=told.get("next_step", ""),
    )
    error.status = answer.status
    raise error


def _told(text: bytes) -> dict[str, str]:
    """Our server's words, where it was our server; without what would move a terminal's cursor."""
    try:
        found = json.loads(text)
        fields = ("wanted", "seen", "allowed", "next_step")
        told = {key: one_line(str(found[key]))[:500] for key in fields if key in found}
    except (ValueError, TypeError, RecursionError):
        return {}
    return told if told.get("wanted") else {}


def unreachable(base: str, error: Exception) -> UnreachableError:
    """A connection that did not work out, in our words."""
    return UnreachableError(
        f"wanted an answer from {base}",
        seen=one_line(f"{type(error).__name__}: {error}")[:300],
        next_step="check the address, the network, and that the server runs",
    )


def too_long(path: str, most: int) -> VerificationError:
    """A server that goes on sending."""
    return VerificationError(f"{path} has no end", allowed=f"{most} bytes", next_step="do not trust this mirror")


def too_slow(path: str, seen: str) -> UnreachableError:
    """A server that takes its time."""
    return UnreachableError(f"fetching {path} takes too long", seen=seen, next_step="it will be resumed later")
