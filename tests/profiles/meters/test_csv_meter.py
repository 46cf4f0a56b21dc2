from __future__ import annotations

from pathlib import Path

import pytest

from profiles.errors import ConfigError, DataError
from profiles.meters.csv_meter import CsvMeter

EPOCH = 1_795_000_000.0


class Logger:
    """A logger that writes 5 W every 0.1 s up to a moment, and a clock."""

    def __init__(self, path: Path, *, delay: float = 0.0) -> None:
        self.path = path
        self.delay = delay
        self.now = EPOCH + 1.0
        self.slept = 0.0
        self.log()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        self.log()

    def log(self) -> None:
        count = max(int((self.now - self.delay - EPOCH) / 0.1) + 1, 2)
        rows = "".join(f"{EPOCH + n * 0.1:.1f},5.0\n" for n in range(count))
        self.path.write_text("time (s),power (W)\n" + rows + f"{EPOCH + count * 0.1:.1f},")


def test_a_window_of_a_log_that_is_being_written(tmp_path: Path) -> None:
    logger = Logger(tmp_path / "live.csv")
    meter = CsvMeter(logger.path, clock=logger.clock, sleep=logger.sleep)
    assert meter.available() == ""
    meter.start()
    logger.sleep(3.0)
    reading = meter.stop()
    assert reading.joules == pytest.approx(15.0, rel=1e-6)
    assert "live.csv" in reading.method
    assert meter.name == f"csv:{logger.path}"
    assert meter.resolution.unit == "W"


def test_it_waits_for_a_logger_that_is_late(tmp_path: Path) -> None:
    logger = Logger(tmp_path / "live.csv", delay=0.7)
    meter = CsvMeter(logger.path, clock=logger.clock, sleep=logger.sleep)
    meter.start()
    logger.sleep(3.0)
    assert meter.stop().joules == pytest.approx(15.0, rel=1e-6)
    assert logger.slept == pytest.approx(3.8, abs=0.21), "until the log has come to the end of the window"


def test_a_logger_that_stopped_is_told(tmp_path: Path) -> None:
    logger = Logger(tmp_path / "live.csv")
    meter = CsvMeter(logger.path, clock=logger.clock, sleep=logger.sleep)
    meter.start()
    logger.delay = 1e9
    logger.sleep(3.0)
    with pytest.raises(DataError, match="the log covers"):
        meter.stop()


def test_no_file_and_wrong_order(tmp_path: Path) -> None:
    meter = CsvMeter(tmp_path / "missing.csv")
    assert "missing.csv" in meter.available()
    with pytest.raises(ConfigError, match="not measuring"):
        meter.stop()
