"""A log that an external instrument is still writing, used as a meter."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from profiles.errors import ConfigError, EdgewrightError
from profiles.meters.base import EnergyReading, Resolution, reason
from profiles.meters.csv_columns import RECOGNISED, Columns
from profiles.meters.csv_log import CsvLog, read_log

#: Seconds that a logger may take to write down the end of a window, and seconds between two looks.
PATIENCE = 5.0
LOOK_AGAIN = 0.2


class CsvMeter:
    """Cuts windows out of a growing log by the clock of this machine.

    Args:
        path: the file that the logger appends to.
        columns, offset, supply_voltage: as for :func:`profiles.meters.csv_log.read_log`.
        clock: UTC epoch seconds.
        sleep: waits for the logger.
    """

    def __init__(
        self,
        path: Path,
        columns: Columns = RECOGNISED,
        *,
        offset: float = 0.0,
        supply_voltage: float | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = f"csv:{path}"
        self._path = path
        self._columns = columns
        self._offset = offset
        self._supply_voltage = supply_voltage
        self._clock = clock
        self._sleep = sleep
        self._start: float | None = None

    @property
    def resolution(self) -> Resolution:
        """Of the log so far."""
        return self._read().resolution

    def available(self) -> str:
        """Empty when the log can be read, else why not."""
        try:
            self._read()
        except EdgewrightError as error:
            return reason(error)
        return ""

    def start(self) -> None:
        """Note the time."""
        self._start = self._clock()

    def stop(self) -> EnergyReading:
        """Wait until the log has come this far, and integrate.

        Raises:
            DataError: the log does not cover the window, has a gap in it or cannot be read.
        """
        if self._start is None:
            raise ConfigError(f"the meter {self.name} is not measuring", next_step="start it first")
        start, end, self._start = self._start, self._clock(), None
        log = self._read()
        while not log.covers(start, end) and self._clock() < end + PATIENCE:
            self._sleep(LOOK_AGAIN)
            log = self._read()
        return log.integrate(start, end)

    def _read(self) -> CsvLog:
        volts = self._supply_voltage
        return read_log(self._path, self._columns, offset=self._offset, supply_voltage=volts, growing=True)
