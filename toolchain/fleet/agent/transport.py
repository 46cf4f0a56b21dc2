"""HTTP with limits on bytes, on time and on slowness; redirects only within one origin.

A server that we must not trust may send without end, or a byte a minute. A timer cuts the connection when the time is
over, whatever the server was doing; that covers headers that never end, too.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from profiles.errors import ConfigError, UnreachableError, VerificationError
from toolchain.fleet.agent.answers import MOST_ANSWER, Limits, check, origin, too_long, too_slow, unreachable
from toolchain.fleet.agent.words import one_line

_CHUNK = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3


class _Line(http.client.HTTPConnection):
    """A connection that can be cut at any time, also when ``http.client`` has handed its socket on to the answer."""

    line: socket.socket | None = None

    def connect(self) -> None:
        super().connect()
        self.line = self.sock

    def cut(self, over: threading.Event) -> None:
        """End it; whoever reads sees the end of the stream, and in ``over`` why."""
        over.set()
        if self.line is not None:
            with contextlib.suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)


class _SecureLine(_Line, http.client.HTTPSConnection):
    """The same, with TLS."""


class HttpTransport:
    """A web server below one address.

    Args:
        base: ``http://`` or ``https://``; paths are joined to it.
        limits: of a round; :meth:`begin` starts a new one.

    Raises:
        ConfigError: no such address.
    """

    def __init__(self, base: str, limits: Limits | None = None) -> None:
        self.base, self.limits = base.rstrip("/") + "/", limits or Limits()
        self._origin = origin(self.base)
        self._kept: _Line | None = None
        self.begin()

    def begin(self) -> None:
        """A new round: all limits anew."""
        self._left, self._end = self.limits.bytes, time.monotonic() + self.limits.total_seconds
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def get(self, path: str, start: int, most: int) -> Iterator[bytes]:
        """See :class:`~toolchain.fleet.agent.protocols.Transport`."""
        most = min(most, self._left)
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with self._asked("GET", path, headers) as answer:
            skip = start if answer.status == 200 else 0
            if answer.length is not None and answer.length > most + skip:
                raise too_long(path, most)
            yield from self._body(answer, path, skip, most)

    def post(self, path: str, body: bytes) -> bytes:
        """See :class:`~toolchain.fleet.agent.protocols.Transport`."""
        with self._asked("POST", path, {"Content-Type": "application/json"}, body) as answer:
            return b"".join(self._body(answer, path, 0, MOST_ANSWER))

    def _body(self, answer: http.client.HTTPResponse, path: str, skip: int, most: int) -> Iterator[bytes]:
        seen, since, counted = 0, time.monotonic(), 0
        while chunk := answer.read1(_CHUNK):
            seen += len(chunk)
            self._left -= len(chunk)
            if seen > most + skip or self._left < 0:
                raise too_long(path, most)
            if time.monotonic() > self._end:
                raise too_slow(path, "the time for all downloads is over")
            passed = time.monotonic() - since
            if passed > self.limits.patience:
                if seen - counted < self.limits.bytes_per_second_min * passed:
                    raise too_slow(path, f"{(seen - counted) / passed:.0f} bytes a second")
                since, counted = time.monotonic(), seen
            wanted = chunk[max(0, len(chunk) - max(0, seen - skip)) :]
            if wanted:
                yield wanted
        if answer.length:  # http.client leaves here what the header promised and did not come
            raise UnreachableError(f"the connection was lost while fetching {path}", next_step="it will be resumed")
        answer.read()  # nothing more comes; http.client now knows that the connection is free

    @contextlib.contextmanager
    def _asked(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that is fine, after redirects; the connection is kept when all of it was read."""
        url = urljoin(self.base, path)
        for _ in range(_MOST_REDIRECTS + 1):
            with self._one(method, url, headers, body) as answer:
                if answer.status not in _REDIRECTS or method != "GET":
                    check(answer, path, asks=method == "POST")
                    yield answer
                    return
                url = self._redirected(url, answer.headers.get("Location", ""))
                self.close()
        raise UnreachableError(f"too many redirects for {path}", allowed=str(_MOST_REDIRECTS))

    def _redirected(self, url: str, location: str) -> str:
        """The address that a redirect leads to.

        Raises:
            VerificationError: it is none, leads elsewhere, or to another scheme.
        """
        try:
            target = urljoin(url, location)
            stays = bool(location) and _is_plain(target) and origin(target) == self._origin
        except (ValueError, ConfigError):
            stays = False
        if not stays:
            raise VerificationError(
                "a redirect must stay on the same server", seen=one_line(location)[:200], allowed=self._origin_text()
            )
        return target

    def _origin_text(self) -> str:
        return "{}://{}:{}".format(*self._origin)

    @contextlib.contextmanager
    def _one(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Iterator[http.client.HTTPResponse]:
        left = self._end - time.monotonic()
        if left <= 0:
            raise too_slow(url, "the time for all downloads is over")
        reused, connection = self._connection()
        over = threading.Event()
        timer = threading.Timer(left, connection.cut, (over,))
        timer.daemon = True
        timer.start()
        try:
            answer = self._sent(connection, method, url, headers, body, reused=reused)
            yield answer
            if over.is_set():
                raise too_slow(url, "no end in time")
            if answer.isclosed() and not answer.will_close:
                self._kept = self._kept or connection
        except (OSError, http.client.HTTPException, UnreachableError) as error:
            if isinstance(error, UnreachableError) and not over.is_set():
                raise
            if over.is_set() or isinstance(error, TimeoutError):
                raise too_slow(url, "no answer in time") from error
            raise unreachable(self.base, error) from error
        finally:
            timer.cancel()
            if self._kept is not connection:
                connection.close()

    def _connection(self) -> tuple[bool, _Line]:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return True, kept
        scheme, host, port = self._origin
        if scheme == "https":
            context = ssl.create_default_context()
            return False, _SecureLine(host, port, timeout=self.limits.patience, context=context)
        return False, _Line(host, port, timeout=self.limits.patience)

    def _sent(
        self, connection: _Line, method: str, url: str, headers: dict[str, str],
        body: bytes | None, *, reused: bool,
    ) -> http.client.HTTPResponse:  # fmt: skip
        """The answer's head; a kept connection that the server has closed meanwhile is opened again, once."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        over = threading.Event()
        limit = threading.Timer(2 * self.limits.patience, connection.cut, (over,))
        limit.daemon = True
        limit.start()

        def ask() -> http.client.HTTPResponse:
            connection.request(method, target, body, {"User-Agent": "edgewright-agent", **headers})
            answer = connection.getresponse()
            if over.is_set():  # http.client takes a cut connection for the end of the head
                raise too_slow(url, "no answer in time")
            return answer

        try:
            return ask()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not reused or over.is_set():
                raise
            connection.close()
            return ask()
        finally:
            limit.cancel()


def _is_plain(url: str) -> bool:
    """Whether it can stand in a request as it is: ASCII without blanks and control characters (RFC 3986, 2)."""
    return url.isascii() and url.isprintable() and " " not in url
