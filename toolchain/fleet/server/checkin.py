"""Check-ins without a transport: a path, a body and an address in, a status and a body out.

What a device says is taken up as facts, after its signature was verified; nothing that is answered decides what it
installs. Nothing of a body is logged but the names and the numbers that were checked.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus

from profiles.errors import EdgewrightError, UnreachableError, VerificationError
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.report import Answer, Enrolment, Report
from toolchain.fleet.rollout.membership import draw
from toolchain.fleet.server import envelopes
from toolchain.fleet.server.limits import Buckets, Limits, site
from toolchain.fleet.store import Store
from toolchain.fleet.store.rows import Identity

log = logging.getLogger("edgewright.fleet.checkin")

PATHS = ("v1/report", "v1/enrol")
Reply = tuple[int, bytes]


class Refusal(EdgewrightError):
    """Why a request is not taken; ``status`` is HTTP's."""

    def __init__(
        self, status: HTTPStatus, wanted: str, *, seen: str = "", allowed: str = "", next_step: str = ""
    ) -> None:
        self.status = status
        super().__init__(wanted, seen=seen, allowed=allowed, next_step=next_step)


class CheckIn:
    """The check-in.

    Args:
        store: of the fleet.
        clock: seconds since 1970.
        limits: what is allowed.
        interval: seconds until a device's next check-in, give or take a tenth, so that they spread.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float], limits: Limits | None = None, interval: float = 60.0
    ) -> None:
        self._store, self._clock, self.limits, self._interval = store, clock, limits or Limits(), interval
        most = self.limits.names
        self._addresses = Buckets(self.limits.address_rate, self.limits.address_burst, most)
        self._devices = Buckets(self.limits.device_rate, self.limits.device_burst, most)

    def handle(self, path: str, body: bytes, address: str) -> Reply:
        """Answer a request; ``path`` is below the check-in's address."""
        known = path.strip("/")
        shown = known if known in PATHS else "?"  # anybody may send a path that looks like a line of this log
        try:
            answer = self._answer(known, body, site(address))
            return HTTPStatus.OK, strict.to_bytes(answer)
        except Refusal as refusal:
            log.info("%s: %s from %s: %s", shown, refusal.status.value, site(address), refusal.wanted)
            return refusal.status, refused(refusal)
        except VerificationError as error:
            log.info("%s: 400 from %s", shown, site(address))
            return HTTPStatus.BAD_REQUEST, refused(error)
        except EdgewrightError as error:
            log.warning("%s: 503: %s", shown, " ".join(str(error).split()))
            return HTTPStatus.SERVICE_UNAVAILABLE, refused(UnreachableError("the server cannot keep this now"))

    def _answer(self, path: str, body: bytes, address: str) -> Answer:
        act = {"v1/report": self._report, "v1/enrol": self._enrol}.get(path)
        cost = self.limits.enrol_cost if path == "v1/enrol" else 1.0
        if not self._addresses.take(address, self._clock(), cost):
            raise _too_often("this address", self.limits.address_rate)
        if act is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing here", allowed=", ".join(PATHS))
        if len(body) > self.limits.body:
            raise too_large(self.limits.body)
        return act(body)

    def _report(self, body: bytes) -> Answer:
        now = self._clock()
        envelope = envelopes.opened(body)
        report = strict.from_bytes(Report, envelope.payload, most=self.limits.body)
        who = self._store.identity(report.device)
        if who is None or not envelopes.verified(envelope, who.public):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "wanted a report that an enrolled device has signed",
                seen="a device that is not enrolled, or another key",
                next_step="edgewright-agent enroll",
            )
        _allowed(who, report)
        if report.counter <= who.counter:
            raise _seen(report, who)  # before the rate: who replays a report must not use up that of its device
        if not self._devices.take(who.device, now):
            raise _too_often("this device", self.limits.device_rate)
        if not self._store.take_up(who, report, now):
            raise _seen(report, self._store.identity(report.device) or who)
        return self._next(report.device, report.counter)

    def _next(self, device: str, counter: int) -> Answer:
        return Answer(self._interval * (0.9 + 0.2 * draw(str(counter), device) / 100), counter)

    def _enrol(self, body: bytes) -> Answer:
        envelope = envelopes.opened(body)
        wish = strict.from_bytes(Enrolment, envelope.payload, most=self.limits.body)
        key = envelopes.public_key(wish.public_key)
        if not envelopes.verified(envelope, wish.public_key):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "wanted a request signed with the key that it brings")
        there = self._store.identity(wish.device)
        if there is not None and there.keyid == key.keyid and there.product == wish.product and there.revoked is None:
            return self._next(wish.device, there.counter)  # the answer to its first request was lost
        wrong = self._store.enrol(
            wish.device, wish.product, wish.channel, wish.labels,
            key=(key.keyid, wish.public_key), token=wish.token, now=self._clock(),
        )  # fmt: skip
        if wrong == "token":
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "wanted a token for this product and channel",
                seen="one that is unknown, used up, expired or for another product",
                next_step="edgewright fleet token",
            )
        if wrong:
            raise Refusal(
                HTTPStatus.CONFLICT,
                f"the name '{wish.device}' or this key is taken",
                next_step="choose another name, or on the server: edgewright fleet devices remove",
            )
        log.info("enrolled %s for %s/%s", wish.device, wish.product, wish.channel)
        return self._next(wish.device, 0)


def _allowed(who: Identity, report: Report) -> None:
    if who.revoked is not None:
        raise Refusal(HTTPStatus.FORBIDDEN, f"the device '{who.device}' was revoked")
    if who.product != report.product:
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            f"the device '{who.device}' is enrolled for another product",
            seen=report.product,
            allowed=who.product,
        )


def _seen(report: Report, who: Identity) -> Refusal:
    return Refusal(
        HTTPStatus.CONFLICT,
        "wanted a report that was not seen before",
        seen=f"counter {report.counter}",
        allowed=f"above {who.counter}",
        next_step="count on from there",
    )


def _too_often(what: str, rate: float) -> Refusal:
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, f"{what} asks too often", allowed=f"{rate:g} in a second")


def too_large(most: int) -> Refusal:
    """For a body over the limit, which is not read to its end."""
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too large", allowed=f"{most} bytes")


def refused(error: EdgewrightError) -> bytes:
    """The four fields of an error as JSON."""
    fields = {name: value for name, value in error.as_dict().items() if name != "type"}
    return json.dumps(fields, sort_keys=True).encode()
