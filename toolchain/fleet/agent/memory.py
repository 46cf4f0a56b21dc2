"""What an agent keeps on its disk, and how a round of its goes: the part of it that does nothing else."""

from __future__ import annotations

from profiles.errors import EdgewrightError, OutputError, RefusedError, VerificationError
from toolchain.fleet.agent.state import State
from toolchain.fleet.agent.world import World


class Memory:
    """The state, kept before anything follows from it; and the error that a round ends with."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state = world.keeper.load()
        self._trouble: EdgewrightError | None = None

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

    def _noted(self, after: State) -> None:
        """A state from which nothing follows: when there is no room for it, the next one that is kept says it."""
        self.state = after
        try:
            self.world.keeper.save(after)
        except OutputError as error:
            self._remember(error)
