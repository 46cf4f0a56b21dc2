"""One fleet from its enrolment through a good release and a bad one, in virtual time."""

import dataclasses
import heapq
import itertools
import random
import time
from collections import Counter
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.fleet_devices import FAULTS, Device, Mirror, Network, Post, config_of
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent.identity import Identity
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.acts import parse_wave
from toolchain.fleet.rollout.membership import wave_of
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.server.checkin import CheckIn
from toolchain.fleet.server.mover import Mover
from toolchain.fleet.server.steering import Steering, Wish
from toolchain.fleet.store import Store

START = 1_800_000_000.0
WAVES = ("canary=5%", "early=15%", "third=35%", "most=70%", "all=100%")
POLICY = Policy(committed=0.9, errors=0.08, tolerated=2, parity=0.05, soak=60.0, silent=3600.0)
#: Share of faulty devices; of requests, answers and downloads that are lost; virtual seconds between two looks.
FAULTY, LOSS, EVERY = 0.02, 0.01, 60.0
#: A rollout that takes longer than so many virtual seconds is stuck.
PATIENCE = 6 * 3600.0


class Meter:
    """Counts what goes through the check-in: processor time of this thread, and bytes."""

    def __init__(self, checkin: CheckIn) -> None:
        self._checkin = checkin
        self.seconds, self.requests, self.sent, self.answered = 0.0, 0, 0, 0
        self.statuses: Counter[int] = Counter()

    def handle(self, path: str, body: bytes, address: str) -> tuple[int, bytes]:
        start = time.thread_time()
        status, answer = self._checkin.handle(path, body, address)
        self.seconds += time.thread_time() - start
        self.requests += 1
        self.sent += len(body)
        self.answered += len(answer)
        self.statuses[int(status)] += 1
        return int(status), answer


class Shelf:
    """The mover's publisher: the production repository, whose plans reach the mirror at once."""

    def __init__(self, repository: Any, mirror: Mirror) -> None:
        self._repository, self._mirror = repository, mirror
        self.plans: list[Plan] = []
        self.seconds = 0.0

    def plan(self, product: str, channel: str) -> Plan | None:
        found: Plan | None = self._repository.plan(product, channel)
        return found

    def set_plan(self, plan: Plan) -> None:
        start = time.thread_time()
        self._repository.set_plan(plan)
        self.seconds += time.thread_time() - start
        self.plans.append(plan)
        self._mirror.plan = plan

    def refresh(self) -> None:
        self._repository.refresh()


class Fleet:
    """Devices, a server and a clock.

    Args:
        url: of an empty database.
        size: number of devices.
        repository: with three releases of one bundle: 1 runs at the beginning, 2 is good, 3 is bad.
        seed: of everything that is left to chance.
    """

    def __init__(self, url: str, size: int, repository: Any, seed: int = 7) -> None:
        self.now, self.size, self.seed = START, size, seed
        self.store = Store(url)
        self.meter = Meter(CheckIn(self.store, self._time, interval=300.0))
        self.network = Network(LOSS, random.Random(seed))
        bundles = {version: repository.release("eyes", version).bundles[0] for version in (1, 2, 3)}
        self.mirror = Mirror(None, bundles, frozenset({3}))
        self.shelf = Shelf(repository, self.mirror)
        self.mover = Mover(self.store, self.shelf, self._time)
        self.steering = Steering(self.store, self.shelf, self._time, "benchmark")
        self.devices = self._made()
        self._queue: list[tuple[float, int, int, ev.Event | None]] = []
        self._order = itertools.count()
        self.moving = 0.0

    def _time(self) -> float:
        return self.now

    def _made(self) -> list[Device]:
        chance = random.Random(self.seed + 1)
        faulty = set(chance.sample(range(self.size), round(FAULTY * self.size)))
        return [
            Device(
                config_of(number),
                Identity(Ed25519PrivateKey.generate()),
                Post(self.meter.handle, self.network, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"),
                self.mirror,
                self.network,
                fault=FAULTS[number % len(FAULTS)] if number in faulty else "",
                speed=chance.lognormvariate(-4.5, 0.1),
            )
            for number in range(self.size)
        ]

    def enrol(self) -> None:
        """All devices, each until its answer comes."""
        token = self.store.make_token("eyes", uses=self.size, now=self.now, lasts=3600.0)
        for each in self.devices:
            while not each.enrol(token):
                self.now += 0.01

    def begin(self, release: int) -> None:
        """Start a rollout, and wake every device at some time within an interval."""
        wish = Wish("eyes", "stable", release, tuple(map(parse_wave, WAVES)), POLICY, soak=30.0, most_slower=0.5,
                    salt=f"seed {self.seed} of version {release}")  # fmt: skip
        self.steering.start(wish)

    def wake(self) -> None:
        """Every device looks for a plan at some time within the first interval."""
        chance = random.Random(self.seed + 2)
        for number in range(self.size):
            self._later(chance.uniform(0, 300), number, ev.Due())

    def _later(self, seconds: float, number: int, event: ev.Event | None) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), number, event))

    def until(self, done: Any) -> float:
        """Let time pass until the rollout has ended and devices are at rest; virtual seconds that it took.

        Raises:
            RuntimeError: it does not end.
        """
        start, look = self.now, self.now
        while not done():
            if self.now - start > PATIENCE:
                raise RuntimeError(f"after {PATIENCE:g} virtual seconds the rollout has not ended: {self._where()}")
            while self._queue[0][0] <= look:
                self._pass()
            self.now = look
            before = time.thread_time()
            self.mover.step()
            self.moving += time.thread_time() - before
            look += EVERY
        return self.now - start

    def _where(self) -> str:
        return self.store.overview(self.now).rollouts[0].next_step

    def _pass(self) -> None:
        when, _, number, event = heapq.heappop(self._queue)
        self.now = when
        device = self.devices[number]
        later = device.happened(event or ev.Due(), self.now)
        if later is None:
            self._later(device.next, number, ev.Due())
        else:
            self._later(later[0], number, later[1])

    def at_rest(self, state: str) -> bool:
        """Whether the plan is in this state and no device is in the middle of something."""
        if self.shelf.plans[-1].state != state:
            return False
        return all(each.state.attempt.outcome != "underway" for each in self.devices) and self._heard(state)

    def _heard(self, state: str) -> bool:
        """When it is complete: whether every device has tried the release and told how it went."""
        if state != "complete":
            return True
        release = self.shelf.plans[-1].release
        known = {each.device: (each.release, each.outcome, each.running) for each in self.store.devices()}
        return all(
            known[each.config.device] == (release, each.state.attempt.outcome, each.state.running)
            for each in self.devices
        )

    def reached(self, release: int) -> dict[int | None, int]:
        """How many devices tried a release, by their wave."""
        plan = self.shelf.plans[-1]
        return Counter(wave_of(plan, each.config.device, {}) for each in self.devices if release in each.tried)


def one(url: str, size: int, repository: Any, processor: Any = None) -> dict[str, Any]:
    """The whole story; ``processor`` gives seconds of processor time of a database that is another process."""
    fleet = Fleet(url, size, repository)
    began = time.perf_counter()
    outside = processor() if processor else 0.0
    fleet.enrol()
    enrolled = _Cost.of(fleet.meter)
    fleet.wake()
    fleet.begin(2)
    good = fleet.until(lambda: fleet.at_rest("complete"))
    after_good = _good(fleet)
    fleet.begin(3)
    stopped = fleet.until(lambda: fleet.at_rest("aborted"))
    cost = _Cost.of(fleet.meter).minus(enrolled)
    outside = (processor() - outside) if processor else 0.0
    start = time.perf_counter()
    fleet.store.overview(fleet.now)
    page = time.perf_counter() - start
    found = {
        "devices": size,
        "requests": fleet.meter.requests,
        "checkin_us": 1e6 * cost.seconds / cost.requests,
        "enrol_us": 1e6 * enrolled.seconds / enrolled.requests,
        "database_us": 1e6 * outside / fleet.meter.requests if processor else None,
        "sent": cost.sent / cost.requests,
        "answered": cost.answered / cost.requests,
        "statuses": {str(status): count for status, count in sorted(fleet.meter.statuses.items())},
        "lost": fleet.network.lost,
        "refused": sum(each.refused for each in fleet.devices),
        "moving_ms": 1e3 * fleet.moving / max(1, round((good + stopped) / EVERY)),
        "publish_ms": 1e3 * fleet.shelf.seconds / len(fleet.shelf.plans),
        "plans": len(fleet.shelf.plans),
        "overview_ms": 1e3 * page,
        "good_seconds": good,
        "bad_seconds": stopped,
        "good": after_good,
        "bad": _bad(fleet),
        "wall": time.perf_counter() - began,
    }
    fleet.store.close()
    return found


@dataclasses.dataclass
class _Cost:
    seconds: float
    requests: int
    sent: int
    answered: int

    @classmethod
    def of(cls, meter: Meter) -> "_Cost":
        return cls(meter.seconds, meter.requests, meter.sent, meter.answered)

    def minus(self, other: "_Cost") -> "_Cost":
        return _Cost(*(a - b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))


def _good(fleet: Fleet) -> dict[str, Any]:
    """What came of the good release: who runs it, who should and does not, and the bytes."""
    sound = [each for each in fleet.devices if not each.fault]
    rows = {each.device: each for each in fleet.store.devices()}
    view = fleet.store.overview(fleet.now).rollouts[0]
    return {
        "committed": sum(each.state.running == 2 for each in fleet.devices),
        "sound": len(sound),
        "lost": sum(each.state.running != 2 for each in sound),
        "faulty": fleet.size - len(sound),
        "faulty_kept": sum(
            each.state.running == 1 and each.pointed == each.state.slot for each in fleet.devices if each.fault
        ),
        "disagree": sum(rows[each.config.device].running != each.state.running for each in fleet.devices),
        "reasons": dict(sorted(Counter(each.state.attempt.reason for each in fleet.devices if each.fault).items())),
        "fetched": view.fetched,
        "full": view.full,
        "median_change": view.latency.median_change,
    }


def _bad(fleet: Fleet) -> dict[str, Any]:
    """What came of the bad release: whom it reached, and whether all run what they ran before."""
    plan = fleet.shelf.plans[-1]
    reached = fleet.reached(3)
    return {
        "state": plan.state,
        "open_waves": plan.open_waves,
        "canaries": sum(wave_of(plan, each.config.device, {}) == 0 for each in fleet.devices),
        "reached": sum(reached.values()),
        "beyond": sum(count for wave, count in reached.items() if wave != 0),
        "committed": sum(each.state.running == 3 for each in fleet.devices),
        "lost": sum(each.state.running != (1 if each.fault else 2) for each in fleet.devices),
        "why": fleet.store.decisions(fleet.store.rollouts()[0])[0].why,
    }
