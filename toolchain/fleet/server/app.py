"""The server as an ASGI application: static repository, check-in, status page. Production puts nginx before it."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from toolchain.fleet.server.checkin import CheckIn, refused, too_large

#: What the repository shows to the world.
FOLDERS = ("metadata", "targets", "blobs")
#: Seconds for the body of a check-in.
SLOW = 10.0
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def make_app(
    checkin: CheckIn,
    repository: Path,
    *,
    prefix: str = "/",
    page: Callable[[], str] | None = None,
    everyone: bool = False,
) -> Starlette:
    """The application.

    Args:
        checkin: answers devices.
        repository: what is served.
        prefix: path of the check-in's address; ``/v1/…`` is always there too, for a proxy that cuts it.
        page: makes the status page; None has none.
        everyone: shows the page to others than this machine.
    """

    async def post(request: Request) -> Response:
        return await _checked_in(checkin, request)

    async def status(request: Request) -> Response:
        if page is None or not (everyone or _is_here(request)):
            return Response("not found", 404, _HEADERS)
        text = await run_in_threadpool(page)
        return Response(text, 200, {**_HEADERS, "Content-Security-Policy": _POLICY}, "text/html")

    places = dict.fromkeys(("/", "/" + prefix.strip("/") + "/" if prefix.strip("/") else "/"))
    routes: list[BaseRoute] = [Route(f"{place}v1/{{what}}", post, methods=["POST"]) for place in places]
    routes += [Route("/status", status, methods=["GET"])]
    routes += [Mount(f"/{name}", _Files(directory=repository / name, check_dir=False)) for name in FOLDERS]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return app


#: The page is self-contained: nothing is fetched, and what a device wrote can do nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'"


class _Files(StaticFiles):
    """A folder that may not be there yet."""

    async def check_config(self) -> None:
        """Nothing: a fleet without a release has no blobs, and that is no error of the server."""


async def _checked_in(checkin: CheckIn, request: Request) -> Response:
    try:
        async with asyncio.timeout(SLOW):
            body = await _body(request, checkin.limits.body)
    except (TimeoutError, ClientDisconnect):
        return Response(b"{}", 408, {**_HEADERS, "Connection": "close"}, "application/json")
    if body is None:
        refusal = too_large(checkin.limits.body)
        return Response(refused(refusal), 413, {**_HEADERS, "Connection": "close"}, "application/json")
    path = f"v1/{request.path_params['what']}"
    status, answer = await run_in_threadpool(checkin.handle, path, body, request.client.host if request.client else "")
    return Response(answer, status, _HEADERS, "application/json")


async def _body(request: Request, most: int) -> bytes | None:
    """The body; None if it is larger than ``most``, of which no more is read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return body


def _is_here(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
