"""Carries out what the machine asks for. State is kept before every action; errors become events, or end the round."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from profiles.errors import EdgewrightError, OutputError, RefusedError, UnreachableError, VerificationError
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent import machine, reports
from toolchain.fleet.agent.answers import StillRefusedError, UnknownError
from toolchain.fleet.agent.checking import CHECKS
from toolchain.fleet.agent.memory import Memory
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.agent.slots import damaged
from toolchain.fleet.agent.words import one_line
from toolchain.fleet.agent.world import World


class Agent(Memory):
    """An agent at work. ``next`` is the server's wish for the next check-in, in seconds; None is none."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.next: float | None = None
        self._is_astray = False

    @property
    def is_unsettled(self) -> bool:
        """Whether something was begun that :meth:`start` must end: the disk was full, a board away, or the like."""
        return self._is_astray or bool(self.state.trying or self.state.unkept)

    def start(self) -> None:
        """After a start of the process, and now and then: end what was underway, and mend what is damaged.

        Raises:
            EdgewrightError: it did not work out; what runs goes on.
        """
        trying, world = self.state.trying, self.world
        if trying and self.state.attempt.stage in ("checking", "switching", "soaking"):
            record = world.slots.record(trying.slot)
            if record is None or record.release != trying.release or damaged(world.slots.path(trying.slot),
                                                                            record.bundle):  # fmt: skip
                self._run(ev.Failed("files", "what was fetched is damaged on this disk"))
        self._is_astray, pointed = False, world.slots.pointed()
        self._run(ev.Started(pointed))
        self.inspect()
        self._keep_running(was_there=pointed == self.state.slot)
        self._end()

    def _keep_running(self, *, was_there: bool) -> None:
        """Mark the running release again where that did not work out, or its board had gone back from it."""
        slot, state = self.state.slot, self.state
        if not slot or self._is_astray or (was_there and not state.unkept and self.world.slots.is_committed(slot)):
            return
        if (error := self._marked(slot)) is not None:
            self._remember(error)

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
        """Look for a plan, and follow it to the end; nothing new begins while ``current`` cannot be led back.

        Raises:
            RefusedError: the server does not want this device; nothing was installed.
            EdgewrightError: what went wrong; the release that runs is untouched, or was gone back to.
        """
        if self.state.refused or self._is_astray:
            self._keep_and_tell()
        if self.state.refused and not isinstance(self._trouble, RefusedError):  # it was asked, and gave no answer
            self._remember(_still_refused())
        elif not self.state.refused and not self._is_astray:
            self._run(ev.Due())
        self._end()

    def _run(self, event: ev.Event) -> None:
        waiting: list[ev.Event] = [event]
        while waiting:
            after, actions = machine.step(self.state, waiting.pop(0))
            self._kept(after)
            for action in actions:
                waiting += self._perform(action)

    def _perform(self, action: ev.Action) -> Sequence[ev.Event]:
        if check := CHECKS.get(type(action)):
            return (check(self.world, action),)
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
            return (ev.Failed(error.reason, one_line(error.detail)),)
        except UnreachableError as error:
            self._remember(error)
            return (ev.Failed("download", one_line(str(error)), again=True),)
        except OutputError as error:
            self._remember(error)
            return (ev.Failed("space", one_line(str(error)), again=True),)
        except VerificationError as error:
            self._remember(error)
            reason = "files" if self.world.trust.knows(action.release) else "trust"
            return (ev.Failed(reason, one_line(str(error))),)

    def _point(self, action: ev.Point) -> Sequence[ev.Event]:
        try:
            self.world.slots.point(action.slot)
        except (OutputError, UnreachableError) as error:
            self._is_astray = True
            self._remember(error)
            reason = "space" if isinstance(error, OutputError) else "download"
            return (ev.Failed(reason, one_line(str(error))),)
        self._is_astray = False
        return (ev.Pointed(self.world.clock.steady()),)

    def _wait(self, action: ev.Wait) -> Sequence[ev.Event]:
        self.world.clock.sleep(action.seconds)
        return (ev.Woken(),)

    def _commit(self, action: ev.Commit) -> Sequence[ev.Event]:
        if (error := self._marked(action.slot)) is not None:
            self.world.say(str(error))
        return ()

    def _marked(self, slot: str) -> OutputError | None:
        """Commit a slot. What went wrong is in the state, and thereby in the next report, until it was made good."""
        failure = None
        try:
            self.world.slots.commit(slot)
        except OutputError as error:
            failure = error
        unkept = one_line(str(failure)) if failure else ""
        if self.state.unkept != unkept:
            self._noted(dataclasses.replace(self.state, unkept=unkept))
        return failure

    def _keep_and_tell(self, action: ev.Tell | None = None) -> Sequence[ev.Event]:
        """Count, keep, send; a report that is lost does no harm."""
        report = self.world.report
        if report is None:
            self._refused(False)  # nobody is there any more who could take it back
            return ()
        try:
            counted = reports.counted(self.state, self.world.clock.wall())
            self.world.keeper.save(counted)
            self.state = counted
            answer = report(self.state)
            self.next = answer.next
            self._refused(False)
        except UnknownError as error:  # what was enrolled once goes on being served: plans and releases are public
            self.world.say(f"no report: {one_line(str(error))}")
            self._refused(False)
        except RefusedError as error:
            self._remember(error)
            self._refused(True)
        except EdgewrightError as error:
            self.state = reports.counted_on(self.state, error)
            self.world.say(f"no report: {one_line(str(error))}")
        return ()

    def _refused(self, is_refused: bool) -> None:
        if self.state.refused != is_refused:
            self._noted(dataclasses.replace(self.state, refused=is_refused))


def _still_refused() -> StillRefusedError:
    return StillRefusedError(
        "the server refuses this device", seen="that was its newest answer; just now it gave none",
        next_step="if the device was taken back, see that the server can be reached; else ask who runs the fleet",
    )  # fmt: skip


_ACTS: Mapping[type, Callable[[Agent, Any], Sequence[ev.Event]]] = {
    ev.Refresh: Agent._refresh, ev.Fetch: Agent._fetch, ev.Point: Agent._point, ev.Wait: Agent._wait,
    ev.Commit: Agent._commit, ev.Tell: Agent._keep_and_tell,
}  # fmt: skip
