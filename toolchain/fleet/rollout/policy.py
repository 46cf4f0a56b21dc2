"""What a rollout is held to: the gates between waves, what stops it, whom it asks."""

from __future__ import annotations

import dataclasses

from toolchain.fleet.documents import checks

DAY = 86400.0


@dataclasses.dataclass(frozen=True)
class Policy:
    """Gates and limits of one rollout. Shares are of a wave's devices, times are seconds.

    Attributes:
        committed: least share that has committed before the next wave opens.
        least: so many devices, of all open waves, have committed before another one opens: a wave without a device
            proves nothing.
        slower: how much larger the wave's median of ``after / before`` may be than 1; None is not held.
        parity: largest share that may compute other numbers than the golden ones; more stops the rollout.
        errors: largest share that may roll back or fail; more stops the rollout.
        tolerated: so many devices of a wave may roll back or fail, whatever their share is; the share ``committed`` is
            then that of the others.
        soak: how long the gate must have been met before the next wave opens.
        silent: a device that did not check in for so long is silent: until it is heard of again it does not count as
            committed, whatever it did before.
        timeout: how long an open wave waits for devices that were silent already when the rollout began. For those that
            fall silent later it waits until they are heard of, revoked or removed: silence never opens a gate.
        approvals: names of waves that a person must approve before they open.
    """

    committed: float = 0.95
    least: int = 1
    slower: float | None = 0.2
    parity: float = 0.01
    errors: float = 0.05
    tolerated: int = 0
    soak: float = 300.0
    silent: float = DAY
    timeout: float = 7 * DAY
    approvals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for share, what in ((self.committed, "committed"), (self.parity, "parity"), (self.errors, "errors")):
            checks.between(share, 0, 1, f"the share '{what}'")
        checks.between(self.slower or 0.0, 0, 1000, "'slower'")
        checks.between(self.least, 1, 1 << 31, "'least', a number of devices,")
        checks.between(self.tolerated, 0, 1 << 31, "'tolerated', a number of devices,")
        for seconds, what in ((self.soak, "soak"), (self.timeout, "timeout")):
            checks.between(seconds, 0, 3650 * DAY, f"'{what}' in seconds")
        checks.between(self.silent, 1, 3650 * DAY, "'silent' in seconds")
        for wave in self.approvals:
            checks.name(wave, "a wave")

    def too_many(self, bad: int, of: int) -> bool:
        """Whether so many bad devices stop the rollout."""
        return bad > self.tolerated and bad > self.errors * of + 1e-9
