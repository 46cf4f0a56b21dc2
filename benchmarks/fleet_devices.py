"""Simulated devices: the production agent's state machine and reports, with time, disk and network that are not real.

A device follows plans as they are published. That it verifies them (TUF) is not simulated: the attack tests do that on
the whole agent. What is lost on the way is lost whole, a request or its answer, as if a connection broke.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from profiles.errors import EdgewrightError, UnreachableError
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent import machine, reports
from toolchain.fleet.agent.config import Config
from toolchain.fleet.agent.identity import Identity
from toolchain.fleet.agent.state import State
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.documents.release import Packed
from toolchain.fleet.documents.report import Answer, Enrolment

#: How a faulty device fails with every release.
FAULTS = ("parity", "health", "slower", "restarts")
#: Seconds between two looks at the plan for a device that got no answer; and that fetching and checking take.
INTERVAL, INSTALL = 300.0, 20.0
PROVIDES = {
    "device": "raspberry-pi-5", "machine": "aarch64", "memory": "8325574656", "cores": "4",
    "isa": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    "packages": "numpy==2.4.1 onnxruntime==1.31.0",
}  # fmt: skip


@dataclasses.dataclass
class Mirror:
    """What devices can fetch: the plan as it stands, and the bundle of each version."""

    plan: Plan | None
    bundles: Mapping[int, Packed]
    bad: frozenset[int]

    def to_fetch(self, running: int, wanted: int) -> int:
        """Bytes to go from one version to another: nothing for what is there, a delta where its base is."""
        has = {file.content.sha256 for file in self.bundles[running].files} if running else set()
        total = 0
        for file in self.bundles[wanted].files:
            patches = [delta.patch.size for delta in file.deltas if delta.base in has]
            total += 0 if file.content.sha256 in has else min([file.content.size, *patches])
        return total


@dataclasses.dataclass
class Network:
    """Loses a share of everything, each way."""

    share: float
    chance: random.Random
    lost: int = 0

    def passes(self) -> bool:
        gone = self.chance.random() < self.share
        self.lost += gone
        return not gone


class Post:
    """The agent's ``Transport``, to a check-in in memory."""

    def __init__(self, handle: Callable[[str, bytes, str], tuple[int, bytes]], network: Network, address: str):
        self._handle, self._network, self._address = handle, network, address

    def post(self, path: str, body: bytes) -> bytes:
        if not self._network.passes():
            raise UnreachableError("the request was lost")
        status, answer = self._handle(path, body, self._address)
        if not self._network.passes():
            raise UnreachableError("the answer was lost")
        if status != 200:
            raise UnreachableError(f"refused with {status}: {answer[:200]!r}")
        return answer


class Device:
    """One device.

    Args:
        config: its name, product and channel.
        identity: its key.
        post: to the server.
        mirror, network: what it fetches from, and over.
        fault: one of :data:`FAULTS`, or empty.
        speed: its median latency in seconds.
    """

    def __init__(self, config: Config, identity: Identity, post: Post, mirror: Mirror, network: Network, *, fault: str, speed: float):  # fmt: skip  # noqa: E501
        self.config, self.identity, self.post, self.mirror, self.network = config, identity, post, mirror, network
        self.fault, self.speed = fault, speed
        self.state = State(slot="a", running=1)
        self.pointed, self.next, self.refused = "a", INTERVAL, 0
        self.tried: set[int] = set()

    def enrol(self, token: str) -> bool:
        """Whether the answer came; if not, it is asked again."""
        config = self.config
        wish = Enrolment(config.device, self.identity.public_key, token, config.product, config.channel)
        try:
            self.post.post(reports.ENROL, self.identity.envelope(wish))
        except UnreachableError:
            return False
        return True

    def happened(self, event: ev.Event, now: float) -> tuple[float, ev.Event] | None:
        """Carry out what follows from an event; what comes later, as seconds from now and an event."""
        waiting: list[ev.Event] = [event]
        later: tuple[float, ev.Event] | None = None
        while waiting:
            self.state, actions = machine.step(self.state, waiting.pop(0))
            for action in actions:
                if isinstance(action, ev.Wait):
                    later = (action.seconds, ev.Woken())
                elif isinstance(action, ev.Fetch):
                    later = (INSTALL, self._fetched(action))
                elif (found := self._done(action, now)) is not None:
                    waiting.append(found)
        return later

    def _done(self, action: ev.Action, now: float) -> ev.Event | None:
        if isinstance(action, ev.Tell):
            return self._tell(now)
        if isinstance(action, ev.Refresh):
            return self._planned(now)
        if isinstance(action, ev.Point):
            self.pointed = action.slot
            return ev.Pointed(now)
        if isinstance(action, ev.Commit):
            return None
        return self._checked(action, now)

    def _planned(self, now: float) -> ev.Event | None:
        if not self.network.passes():
            return self._tell(now)
        plan = self.mirror.plan
        if plan is None:
            return self._tell(now)
        return ev.Planned(plan, self.config.device, self.config.labels, now, {"plan": plan.sequence})

    def _fetched(self, action: ev.Fetch) -> ev.Event:
        if not self.network.passes():
            return ev.Failed("download", "the connection was lost", again=True)
        self.tried.add(action.release)
        bundle = self.mirror.bundles[action.release]
        return ev.Fetched(False, bundle.budget, self.mirror.to_fetch(self.state.running, action.release), bundle.size)

    def _checked(self, action: ev.Action, now: float) -> ev.Event:
        """The golden outputs, the latency, the health; what is bad fails on every device."""
        trying = self.state.trying
        is_bad = trying is not None and trying.release in self.mirror.bad
        if isinstance(action, ev.Compare):
            wrong = is_bad or self.fault == "parity"
            return ev.Failed("parity", "y differs by 0.31, allowed 0.01") if wrong else ev.Matched()
        if isinstance(action, ev.Measure):
            slow = 2.0 if self.fault == "slower" else 1.0
            return ev.Measured({machine.LATENCY: self.speed * 1.02 * slow}, self.speed)
        if self.fault == "restarts":
            return ev.Started(self.pointed)
        return ev.Probed(now, "the application does not answer" if self.fault == "health" else "")

    def _tell(self, now: float) -> None:
        self.state = reports.counted(self.state, now)
        report = reports.report_of(self.state, self.config, "0.1.0", PROVIDES, now)
        try:
            answer: Answer = reports.send(self.post, self.identity, report)
            self.next = answer.next
        except UnreachableError as error:
            self.next = INTERVAL
            self.refused += "refused" in str(error)
        except EdgewrightError:
            self.refused += 1


def config_of(number: int) -> Config:
    """Of a device by its number."""
    return Config(f"device-{number:05d}", "eyes", "stable", "http://fleet/", Path("/nowhere"), python="python3")
