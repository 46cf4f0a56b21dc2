"""Reports to the server: what is in them, their counter, and what an answer means."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from profiles.errors import EdgewrightError, VerificationError
from toolchain.fleet.agent.answers import HttpError
from toolchain.fleet.agent.config import Config
from toolchain.fleet.agent.identity import Identity
from toolchain.fleet.agent.protocols import Transport
from toolchain.fleet.agent.state import State
from toolchain.fleet.agent.words import one_line
from toolchain.fleet.documents.report import LATENCIES, MOST_REPORT, Answer, Attempt, Report
from toolchain.fleet.documents.strict import from_bytes

ENROL, REPORT = "v1/enrol", "v1/report"
_MOST_COUNTER = (1 << 53) - (1 << 20)
#: 2100, in milliseconds since 1970.
_MOST_TOLD = 4_102_444_800_000


def counted(state: State, wall: float) -> State:
    """The state with the next counter.

    Milliseconds since 1970, and always more than before: a device that lost its state is not taken for a replay.
    """
    now = int(wall * 1000) if 0 < wall * 1000 < _MOST_COUNTER else 0
    return dataclasses.replace(state, counter=max(state.counter + 1, now))


def counted_on(state: State, error: EdgewrightError) -> State:
    """The state after a report was refused as a replay: the server says from where to go on.

    Nobody signs that answer, so numbers beyond those that clocks of this century give are not believed.
    """
    found = re.search(r"\d{1,13}\b", error.allowed) if isinstance(error, HttpError) and error.status == 409 else None
    told = int(found[0]) if found else 0
    return dataclasses.replace(state, counter=max(state.counter, told)) if told < _MOST_TOLD else state


def report_of(state: State, config: Config, agent: str, provides: Mapping[str, str], wall: float) -> Report:
    """What the device says of itself now, under the state's counter.

    Raises:
        VerificationError: something in the configuration does not fit into a report.
    """
    try:
        return Report(
            device=config.device, counter=state.counter, time=wall, product=config.product, channel=config.channel,
            running=state.running, agent=agent, attempt=attempt_of(state), provides=lines(provides),
            labels=lines(config.labels), before=_measured(state.before), after=_measured(state.after),
        )  # fmt: skip
    except ValueError as error:
        raise VerificationError("this device has nothing to say that a report may carry", seen=str(error)) from error


def lines(pairs: Mapping[str, str]) -> dict[str, str]:
    """Labels and the like, as a report and an enrolment may carry them."""
    return {one_line(key): one_line(value) for key, value in pairs.items()}


def _measured(latency: float | None) -> float | None:
    """None for what no report takes: a clock that stood still, or a device that slept meanwhile."""
    return latency if not latency or LATENCIES[0] <= latency <= LATENCIES[1] else None


def attempt_of(state: State) -> Attempt:
    """The newest attempt; of one that ended well, whether it is kept, too."""
    attempt = plain(state.attempt)
    detail = attempt.detail or one_line(state.unkept and f"not kept yet: {state.unkept}")
    return dataclasses.replace(attempt, detail=detail)


def plain(attempt: Attempt) -> Attempt:
    """With a detail that a report may carry."""
    return dataclasses.replace(attempt, detail=one_line(attempt.detail))


def send(transport: Transport, identity: Identity, report: Report) -> Answer:
    """Send a report.

    Raises:
        RefusedError: the server does not want this device.
        UnreachableError: it does not answer, or has an error.
        VerificationError: its answer makes no sense.
    """
    body = identity.envelope(report)
    if len(body) > MOST_REPORT:
        raise VerificationError("a report is too large", seen=f"{len(body)} bytes", allowed=f"{MOST_REPORT} bytes")
    return from_bytes(Answer, transport.post(REPORT, body))
