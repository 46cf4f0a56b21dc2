"""The server as a process: a socket, uvicorn, and the mover in a thread beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from profiles.errors import ConfigError, MissingToolError
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.home import Home, open_home
from toolchain.fleet.server.checkin import CheckIn
from toolchain.fleet.server.limits import Limits
from toolchain.fleet.server.mover import REFRESH, Mover
from toolchain.fleet.store import Store
from toolchain.fleet.trust.repository import Repository

log = logging.getLogger("edgewright.fleet.server")

#: Connections at once; more are told to come again (503).
MOST_CONNECTIONS = 500
#: Seconds between two check-ins; an answer, a tenth longer at most, must stay within a week.
INTERVALS = (0.01, 6 * 86400.0)


@dataclasses.dataclass(frozen=True)
class Setup:
    """How to serve.

    Attributes:
        host, port: to listen on; port 0 is any free one.
        interval: seconds between two check-ins of a device, see :data:`INTERVALS`.
        every: seconds between two looks at the rollouts.
        page: ``auto`` is this machine alone, ``everyone`` or ``nobody``.

    Raises:
        ConfigError: the interval is too short or too long.
    """

    host: str = "127.0.0.1"
    port: int = 8440
    interval: float = 60.0
    every: float = 5.0
    page: str = "auto"

    def __post_init__(self) -> None:
        if not INTERVALS[0] <= self.interval <= INTERVALS[1]:
            raise ConfigError(
                "wanted the time between two check-ins",
                seen=f"{self.interval:g} s",
                allowed=f"{INTERVALS[0]:g} s to {INTERVALS[1] / 86400:g} days",
                next_step="choose another --interval",
            )


def limits_for(interval: float) -> Limits:
    """The usual limits; a device may always report twice as often as it is told to, ``interval`` is in seconds."""
    usual = Limits()
    return dataclasses.replace(usual, device_rate=max(usual.device_rate, 2 / interval))


def serve(home: Home, store: Store, setup: Setup) -> None:
    """Serve until a signal ends it.

    Raises:
        ConfigError: the address cannot be listened on.
        MissingToolError: starlette or uvicorn are not installed.
    """
    try:
        import uvicorn

        from toolchain.fleet.server.app import make_app
    except ImportError as error:
        raise MissingToolError(
            "the server needs starlette and uvicorn", seen=str(error), next_step="pip install 'edgewright[fleet]'"
        ) from error

    checkin = CheckIn(store, time.time, limits_for(setup.interval), setup.interval)
    prefix = urlsplit(home.settings.server.checkin).path
    page = None if setup.page == "nobody" else _page(store)
    app = make_app(checkin, home.repository, prefix=prefix, page=page, everyone=setup.page == "everyone")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # the libraries tell of every signature that is not good, or not there; the check-in does that in one line
    for library in ("securesystemslib", "tuf"):
        logging.getLogger(library).setLevel(logging.WARNING)
    with _listening(setup) as listener:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, lifespan="off",
            limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=5, timeout_graceful_shutdown=5,
            forwarded_allow_ips="127.0.0.1,::1",
        )  # fmt: skip
        log.info("serving %s on http://%s:%d", home.folder, *listener.getsockname()[:2])
        _run(uvicorn.Server(config), listener, _mover(home, store), setup.every)


def _mover(home: Home, store: Store) -> Mover:
    lasts = home.settings.role("timestamp").expires_days * 86400.0
    return Mover(store, Current(home.folder), time.time, refresh=min(REFRESH, lasts / 4))


class Current:
    """The mover's publisher: the repository as it is configured now, for keys may be rotated while the server runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _repository(self) -> Repository:
        return Repository(open_home(self._folder))

    def plan(self, product: str, channel: str) -> Plan | None:
        """See :class:`toolchain.fleet.server.mover.Publisher`, for all three."""
        return self._repository().plan(product, channel)

    def set_plan(self, plan: Plan) -> None:
        """Sign and publish."""
        self._repository().set_plan(plan)

    def refresh(self) -> None:
        """Sign timestamp and snapshot anew."""
        self._repository().refresh()


def _run(server: Any, listener: socket.socket, mover: Mover, every: float) -> None:
    stop, failed = threading.Event(), []

    def move() -> None:
        try:
            mover.run(stop, every)
        except BaseException as error:
            failed.append(error)
            server.should_exit = True  # a server that takes reports and moves nothing would look healthy

    thread = threading.Thread(target=move, name="mover", daemon=True)
    thread.start()
    try:
        server.run(sockets=[listener])
    finally:
        stop.set()
        thread.join(30)
    if failed:
        raise failed[0]


@contextlib.contextmanager
def _listening(setup: Setup) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in setup.host else socket.AF_INET
        listener = socket.create_server((setup.host, setup.port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"wanted to listen on {setup.host} port {setup.port}", seen=str(error), next_step="choose another --port"
        ) from error
    with listener:
        yield listener


def _page(store: Store) -> Callable[[], str]:
    def page() -> str:
        from toolchain.fleet.page.render import render_page

        return render_page(store.overview(time.time()), refresh=10.0)

    return page
