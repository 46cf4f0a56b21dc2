"""An external logger's CSV (Joulescope, Otii, Nordic PPK2), aligned with the run by timestamps."""

from __future__ import annotations

import csv
import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from profiles.errors import DataError
from profiles.meters.base import EnergyReading, Resolution
from profiles.meters.csv_columns import RECOGNISED, Columns, Layout, find_layout
from profiles.meters.sampled import sampling_uncertainty, trapezoid

Series: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: A gap is an interval this many times longer than the median one.
GAP_FACTOR = 10.0


@dataclasses.dataclass(frozen=True)
class CsvLog:
    """Power over time as a logger wrote it.

    Attributes:
        path: the file.
        times: seconds as in the file, strictly rising.
        watts: one value per time.
        offset: seconds to add to ``times`` for UTC epoch seconds.
        header_row: line of the header in the file, counted from 1.
    """

    path: Path
    times: Series
    watts: Series
    offset: float
    header_row: int

    @property
    def resolution(self) -> Resolution:
        """The smallest difference between two values of the log, at its median interval."""
        steps = np.diff(np.unique(self.watts))
        return Resolution(float(steps.min()) if steps.size else 0.0, "W", float(np.median(np.diff(self.times))))

    def covers(self, start: float, end: float) -> bool:
        """Whether the window (UTC epoch seconds) lies inside of the log."""
        return bool(self.times[0] <= start - self.offset < end - self.offset <= self.times[-1])

    def integrate(self, start: float, end: float, *, max_gap: float | None = None) -> EnergyReading:
        """Energy between two moments: straight lines between samples, both edges interpolated.

        The clocks of logger and device must agree much better than the window is long.

        Args:
            start, end: UTC epoch seconds.
            max_gap: seconds between samples above which the log counts as broken; by default ten
                times the median interval.

        Raises:
            DataError: the log does not cover the window, or has a gap in it.
        """
        if not self.covers(start, end):
            raise DataError(
                f"wanted the energy from {start:.6f} to {end:.6f} (UTC epoch seconds) from {self.path.name}",
                seen=f"the log covers {self.times[0] + self.offset:.6f} to {self.times[-1] + self.offset:.6f}",
                next_step="log the whole run; if the log counts from its own start, give offset, the epoch second of 0",
            )
        begin, finish = start - self.offset, end - self.offset
        low = int(np.searchsorted(self.times, begin, side="right"))
        high = int(np.searchsorted(self.times, finish, side="left"))
        self._check_gaps(low - 1, high, max_gap)
        times = np.concatenate(([begin], self.times[low:high], [finish]))
        watts = np.interp(times, self.times, self.watts)
        return EnergyReading(
            trapezoid(times, watts),
            finish - begin,
            sampling_uncertainty(watts, finish - begin, self.resolution),
            f"external logger {self.path.name}, {len(watts)} samples, trapezoid rule",
        )

    def _check_gaps(self, first: int, last: int, max_gap: float | None) -> None:
        limit = GAP_FACTOR * float(np.median(np.diff(self.times))) if max_gap is None else max_gap
        gaps = np.diff(self.times[first : last + 1])
        worst = int(np.argmax(gaps))
        if gaps[worst] > limit:
            raise DataError(
                f"{self.path.name} has a gap before row {_row(self.path, self.header_row, first + worst + 1)}",
                seen=f"{gaps[worst]:g} s without a sample",
                allowed=f"up to {limit:g} s",
            )


def read_log(
    path: Path,
    columns: Columns = RECOGNISED,
    *,
    offset: float = 0.0,
    supply_voltage: float | None = None,
    growing: bool = False,
) -> CsvLog:
    """Read a logger's CSV.

    Args:
        path: the file; comma, semicolon or tab between fields.
        columns: header texts, where they cannot be recognised.
        offset: UTC epoch seconds of the log's time 0; 0 when the log holds epoch seconds.
        supply_voltage: volts, for a log of current alone (Nordic PPK2).
        growing: the logger still writes, so that a last line without its end is not read yet.

    Raises:
        ConfigError: a column is missing or its unit unknown; names those seen.
        DataError: unreadable, empty, unsorted or not-finite values, with the row.
    """
    layout = find_layout(path, columns, supply_voltage=supply_voltage is not None)
    values = _load(path, layout, growing=growing) * np.array(layout.scales)
    _check_values(path, values, layout.header_row)
    watts = np.prod(values[:, 1:], axis=1) * (supply_voltage if layout.kinds == ("time", "current") else 1.0)
    return CsvLog(path, values[:, 0], watts, offset, layout.header_row)


def _load(path: Path, layout: Layout, *, growing: bool) -> Series:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "input contained no data" is told below
            values = np.loadtxt(
                (line for _, line in _filled_rows(path, layout.header_row) if line.endswith("\n") or not growing),
                delimiter=layout.delimiter,
                usecols=layout.places,
                comments=None,
                ndmin=2,
                quotechar='"',
            )
    except ValueError as error:
        raise _bad_row(path, layout, str(error)) from error
    if len(values) < 2:
        raise DataError(f"wanted at least two samples in {path.name}", seen=str(len(values)))
    return values


def _bad_row(path: Path, layout: Layout, message: str) -> DataError:
    """The error that names the first row without numbers where they should be."""
    for row, line in _filled_rows(path, layout.header_row):
        fields = next(csv.reader([line], delimiter=layout.delimiter))
        try:
            [float(fields[place]) for place in layout.places]
        except (ValueError, IndexError):
            return DataError(f"wanted numbers in row {row} of {path.name}", seen=repr(line.strip()[:80]))
    return DataError(f"wanted numbers in {path.name}", seen=message)


def _check_values(path: Path, values: Series, header_row: int) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        row = _row(path, header_row, int(bad[0]))
        raise DataError(f"row {row} of {path.name} is not finite", seen=", ".join(f"{v:g}" for v in values[bad[0]]))
    back = np.flatnonzero(np.diff(values[:, 0]) <= 0)
    if back.size:
        at = int(back[0]) + 1
        raise DataError(
            f"time does not rise in row {_row(path, header_row, at)} of {path.name}",
            seen=f"{values[at, 0]:.9g} s after {values[at - 1, 0]:.9g} s",
        )


def _filled_rows(path: Path, header_row: int) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for row, line in enumerate(file, start=1):
            if row > header_row and line.strip():
                yield row, line


def _row(path: Path, header_row: int, index: int) -> int:
    """Line in the file (from 1) of the value with this index; empty lines count as lines, not as values."""
    return next(row for i, (row, _) in enumerate(_filled_rows(path, header_row)) if i == index)
