"""Carries out what the machine asks for. State is kept before every action; errors become events, or end the round."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from profiles.errors import EdgewrightError, OutputError, RefusedError, UnreachableError, VerificationError
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent import machine, reports
from toolchain.fleet.agent.answers import UnknownError
from toolchain.fleet.agent.install import Installer
from toolchain.fleet.agent.keep import Keeper
from toolchain.fleet.agent.protocols import CheckError, Clock, Runtime, Trust
from toolchain.fleet.agent.slots import Slots, damaged
from toolchain.fleet.agent.state import State
from toolchain.fleet.documents.report import Answer

Happened = tuple[State, Sequence[ev.Event]]


@dataclasses.dataclass(frozen=True)
class World:
    """What an agent works with.

    Attributes:
        device, labels: from the configuration.
        keeper, slots, installer, trust, runtime, clock: see their classes.
        report: sends a report of a state; None where there is no server.
        say: one line for people.
    """

    device: str
    labels: Mapping[str, str]
    keeper: Keeper
    slots: Slots
    installer: Installer
    trust: Trust
    runtime: Runtime
    clock: Clock
    report: Callable[[State], Answer] | None
    say: Callable[[str], None]


class Agent:
    """An agent at work. ``next`` is the server's wish for the next check-in, in seconds; None is none."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state = world.keeper.load()
        self.next: float | None = None
        self._trouble: EdgewrightError | None = None

    def start(self) -> None:
        """After a start of the process: end what was underway, and mend what is damaged.

        Raises:
            EdgewrightError: it did not work out; what runs goes on.
        """
        trying, world = self.state.trying, self.world
        if trying and self.state.attempt.stage in ("checking", "switching", "soaking"):
            record = world.slots.record(trying.slot)
            if record is None or record.release != trying.release or damaged(world.slots.path(trying.slot),
                                                                            record.bundle):  # fmt: skip
                self._run(ev.Failed("files", "what was fetched is damaged on this disk"))
        self._run(ev.Started(world.slots.pointed()))
        self.inspect()
        if self.state.slot and not world.slots.is_committed(self.state.slot):
            self._commit(ev.Commit(self.state.slot))
        self._end()

    def inspect(self) -> None:
        """Compare every file of the running release with its hash, and mend what differs."""
        found = self.world.installer.trouble(self.state)
        if not found:
            return
        self.world.say(f"version {self.state.running} is damaged on this disk: {', '.join(found[:3])}; mending")
        try:
            if found == ["slot.json"]:
                self.world.trust.plan(self.state)
            self.world.installer.mend(self.state)
            self.world.say(f"version {self.state.running} is whole again")
        except CheckError as error:
            self._remember(VerificationError("the running release cannot be mended", seen=error.detail))
        except EdgewrightError as error:
            self._remember(error)

    def round(self) -> None:
        """Look for a plan, and follow it to the end.

        Raises:
            RefusedError: the server does not want this device; nothing was installed.
            EdgewrightError: what went wrong; the release that runs is untouched, or was gone back to.
        """
        if self.state.refused:
            self._keep_and_tell()
        if not self.state.refused:
            self._run(ev.Due())
        self._end()

    def _end(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def _remember(self, error: EdgewrightError) -> None:
        """The first error of a round is the one that it ends with; a refusal comes before all others."""
        if self._trouble is None or (isinstance(error, RefusedError) and not isinstance(self._trouble, RefusedError)):
            self._trouble = error
        elif error is not self._trouble:
            self.world.say(str(error))

    def _run(self, event: ev.Event) -> None:
        waiting: list[ev.Event] = [event]
        while waiting:
            after, actions = machine.step(self.state, waiting.pop(0))
            self._kept(after)
            for action in actions:
                waiting += self._perform(action)

    def _kept(self, after: State) -> None:
        """Keep a state before anything follows from it.

        Once the switch may have been made, a full disk must not stop us from watching, committing and going back: what
        is kept then says that the switch was underway, and a start before there is room again goes on from there.
        """
        if after == self.state:
            return
        self._announce(after)
        try:
            self.world.keeper.save(after)
        except OutputError as error:
            if self.state.attempt.stage not in ("switching", "soaking", "rolling-back"):
                raise
            self._remember(error)
        self.state = after

    def _announce(self, after: State) -> None:
        old, new = self.state.attempt, after.attempt
        if (old.stage, old.outcome, old.release) == (new.stage, new.outcome, new.release):
            return
        words = new.outcome if new.stage == "idle" else new.stage
        why = f": {new.reason}: {new.detail}" if new.reason else ""
        self.world.say(f"version {new.release}: {words}{why}")
        if new.stage == "idle" and new.outcome in ("failed", "refused", "rolled-back"):
            self._remember(
                VerificationError(
                    f"version {new.release} is not installed: {new.reason}",
                    seen=new.detail,
                    next_step=f"version {after.running} runs" if after.running else "nothing runs yet",
                )
            )

    def _perform(self, action: ev.Action) -> Sequence[ev.Event]:
        return _ACTS[type(action)](self, action)

    def _refresh(self, action: ev.Refresh) -> Sequence[ev.Event]:
        world = self.world
        try:
            plan, floors, keys = world.trust.plan(self.state)
        except EdgewrightError as error:
            self._remember(error)
            self._keep_and_tell()
            return ()
        return (ev.Planned(plan, world.device, world.labels, world.clock.wall(), floors, keys),)

    def _fetch(self, action: ev.Fetch) -> Sequence[ev.Event]:
        try:
            return (self.world.installer.fetch(self.state, action),)
        except CheckError as error:
            return (ev.Failed(error.reason, reports.one_line(error.detail)),)
        except UnreachableError as error:
            self._remember(error)
            return (ev.Failed("download", reports.one_line(str(error)), again=True),)
        except OutputError as error:
            self._remember(error)
            return (ev.Failed("space", reports.one_line(str(error)), again=True),)
        except VerificationError as error:
            self._remember(error)
            reason = "files" if self.world.trust.knows(action.release) else "trust"
            return (ev.Failed(reason, reports.one_line(str(error))),)

    def _build(self, action: ev.Build) -> Sequence[ev.Event]:
        return self._checked(self.world.runtime.build, action.slot, ev.Built())

    def _compare(self, action: ev.Compare) -> Sequence[ev.Event]:
        return self._checked(self.world.runtime.golden, action.slot, ev.Matched())

    def _checked(self, check: Callable[[Any], None], slot: str, fine: ev.Event) -> Sequence[ev.Event]:
        try:
            check(self.world.slots.path(slot))
        except CheckError as error:
            return (ev.Failed(error.reason, error.detail),)
        return (fine,)

    def _measure(self, action: ev.Measure) -> Sequence[ev.Event]:
        world, before = self.world, None
        try:
            if action.running:
                before = world.runtime.latency(world.slots.path(action.running)).get(machine.LATENCY)
        except CheckError as error:
            world.say(f"the running release cannot be measured: {error.detail}")
        try:
            return (ev.Measured(world.runtime.latency(world.slots.path(action.slot)), before),)
        except CheckError as error:
            return (ev.Failed(error.reason, error.detail),)

    def _point(self, action: ev.Point) -> Sequence[ev.Event]:
        try:
            self.world.slots.point(action.slot)
        except (OutputError, UnreachableError) as error:
            self._remember(error)
            reason = "space" if isinstance(error, OutputError) else "download"
            return (ev.Failed(reason, reports.one_line(str(error))),)
        return (ev.Pointed(self.world.clock.steady()),)

    def _probe(self, action: ev.Probe) -> Sequence[ev.Event]:
        trouble = self.world.runtime.health(self.world.slots.path(action.slot))
        return (ev.Probed(self.world.clock.steady(), trouble),)

    def _wait(self, action: ev.Wait) -> Sequence[ev.Event]:
        self.world.clock.sleep(action.seconds)
        return (ev.Woken(),)

    def _commit(self, action: ev.Commit) -> Sequence[ev.Event]:
        try:
            self.world.slots.commit(action.slot)
        except OutputError as error:  # the state says it, too
            self.world.say(str(error))
        return ()

    def _keep_and_tell(self, action: ev.Tell | None = None) -> Sequence[ev.Event]:
        """Count, keep, send; a report that is lost does no harm."""
        report = self.world.report
        if report is None:
            return ()
        try:
            counted = reports.counted(self.state, self.world.clock.wall())
            self.world.keeper.save(counted)
            self.state = counted
            answer = report(self.state)
            self.next = answer.next
            self._refused(False)
        except UnknownError as error:  # what was enrolled once goes on being served: plans and releases are public
            self.world.say(f"no report: {reports.one_line(str(error))}")
        except RefusedError as error:
            self._remember(error)
            self._refused(True)
        except EdgewrightError as error:
            self.state = reports.counted_on(self.state, error)
            self.world.say(f"no report: {reports.one_line(str(error))}")
        return ()

    def _refused(self, is_refused: bool) -> None:
        if self.state.refused != is_refused:
            self._kept(dataclasses.replace(self.state, refused=is_refused))


_ACTS: Mapping[type, Callable[[Agent, Any], Sequence[ev.Event]]] = {
    ev.Refresh: Agent._refresh, ev.Fetch: Agent._fetch, ev.Build: Agent._build, ev.Compare: Agent._compare,
    ev.Measure: Agent._measure, ev.Point: Agent._point, ev.Probe: Agent._probe, ev.Wait: Agent._wait,
    ev.Commit: Agent._commit, ev.Tell: Agent._keep_and_tell,
}  # fmt: skip
