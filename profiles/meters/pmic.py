"""The Raspberry Pi 5's power management chip, as the firmware shows it: ``vcgencmd pmic_read_adc``.

Lines come as `` VDD_CORE_A current(7)=0.75012000A`` and `` VDD_CORE_V volt(15)=0.87716640V``; the
numbers in brackets number the channels, rails are paired by name. ``EXT5V`` and ``BATT`` have a voltage
only. What hangs on the 5 V input directly (USB, fan, HATs) is on no rail.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from profiles.errors import ConfigError, EdgewrightError, MissingToolError, UnreachableError
from profiles.meters.base import Resolution, read_text
from profiles.meters.sampled import Clock, SampledMeter

#: Takes the firmware command, returns what it prints.
Vcgencmd = Callable[[str], str]

#: Amperes. The chip's data sheet is not public; the published readings of ``VDD_CORE_A`` that were looked at
#: are whole multiples of the first step, those of the other rails of steps of at most the second.
CORE_STEP = 0.02679
OTHER_STEP = 1e-3
TIMEOUT = 5.0
_LINE = re.compile(r"^\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=([-+.\deE]+)[AV]\s*$", re.MULTILINE)


def vcgencmd(command: str) -> str:
    """What the Raspberry Pi's firmware answers.

    Raises:
        MissingToolError: no such program, or no permission.
        UnreachableError: it failed or did not answer in time.
    """
    import subprocess

    wanted = f"wanted to run vcgencmd {command}"
    try:
        done = subprocess.run(["vcgencmd", command], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise MissingToolError(
            wanted, seen="no such program", next_step="on a Raspberry Pi run: sudo apt install raspi-utils"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(wanted, seen=str(error)) from error
    output = (done.stdout + done.stderr).strip()
    if done.returncode == 0 and "error" not in output[:80].lower():
        return done.stdout
    if "vcio" in output or "VCHI" in output or "ermission" in output:
        step = "run: sudo usermod -aG video $USER, and log in again"
        raise MissingToolError(wanted, seen=output[:200], next_step=step)
    raise UnreachableError(wanted, seen=output[:200] or f"exit code {done.returncode}")


def parse_rails(text: str) -> dict[str, tuple[float, float]]:
    """Volts and amperes of every rail that has both.

    Raises:
        UnreachableError: no rail has both.
    """
    values: dict[str, dict[str, float]] = {}
    for rail, kind, number in _LINE.findall(text):
        try:
            values.setdefault(rail, {})[kind] = float(number)
        except ValueError as error:
            raise UnreachableError(f"wanted a number for the rail {rail}", seen=repr(number)) from error
    rails = {rail: (pair["V"], pair["A"]) for rail, pair in values.items() if len(pair) == 2}
    if not rails:
        raise UnreachableError("wanted rails with volts and amperes from vcgencmd pmic_read_adc", seen=repr(text[:80]))
    return rails


class PmicMeter(SampledMeter):
    """Watts on the rails of a Raspberry Pi 5.

    Args:
        rails: names that count, such as ``VDD_CORE``; empty for all that have volts and amperes.
        root: of the file system, for the board's model.
        run: asks the firmware.
    """

    name = "pmic"

    def __init__(
        self,
        rails: Sequence[str] = (),
        root: Path = Path("/"),
        run: Vcgencmd = vcgencmd,
        *,
        interval: float = 0.1,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(interval=interval, clock=clock)
        self._rails = tuple(rails)
        self._root = root
        self._run = run
        self._counted: tuple[str, ...] = ()
        self._step: float | None = None
        what = f"rails {' + '.join(rails)}" if rails else "all rails"
        self.covers = f"Raspberry Pi 5 PMIC, {what}, without what hangs on the 5 V input directly"

    def open(self) -> None:
        """Check that this is a board with such a chip and that the rails are there.

        Raises:
            MissingToolError: not a Raspberry Pi 5, or vcgencmd cannot be run.
            ConfigError: a named rail is not there; names those seen.
        """
        model = _model(self._root)
        if not re.search(r"Raspberry Pi (5|500|Compute Module 5)\b", model):
            raise MissingToolError("wanted the power chip of a Raspberry Pi 5", seen=model or "no Raspberry Pi")
        found = parse_rails(self._run("pmic_read_adc"))
        missing = [rail for rail in self._rails if rail not in found]
        if missing:
            raise ConfigError(
                f"wanted the power rail '{missing[0]}'",
                seen=", ".join(found),
                next_step="correct [power] rails in the device profile",
            )
        self._counted = self._rails or tuple(found)
        steps = {rail: CORE_STEP if rail == "VDD_CORE" else OTHER_STEP for rail in self._counted}
        self._step = math.hypot(*(found[rail][0] * step for rail, step in steps.items()))

    def watts(self) -> dict[str, float]:
        """Volts times amperes of each rail."""
        found = parse_rails(self._run("pmic_read_adc"))
        lost = [rail for rail in self._counted if rail not in found]
        if lost:
            raise UnreachableError(f"wanted the power rail '{lost[0]}' again", seen=", ".join(found))
        return {rail: found[rail][0] * found[rail][1] for rail in self._counted}

    @property
    def resolution(self) -> Resolution:
        """The steps of the currents at the present voltages, in quadrature."""
        if self._step is None:
            self.open()
        return Resolution(self._step or 0.0, "W", self.interval)


def _model(root: Path) -> str:
    try:
        return read_text(root / "proc/device-tree/model").rstrip("\0")
    except EdgewrightError:
        return ""
