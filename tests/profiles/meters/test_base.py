from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from profiles.errors import ConfigError, MissingToolError, UnreachableError
from profiles.meters.base import EnergyReading, Resolution, read_number, read_text, reason


def test_counter_uncertainty_is_the_spread_of_many_readings() -> None:
    """Monte Carlo: a counter in steps of 0.7 J, updated every 0.1 s, read at random moments at 20 W."""
    rng = np.random.default_rng(1)
    step, update, watts = 0.7, 0.1, 20.0
    seconds = rng.uniform(6, 8, 200_000)
    start = rng.uniform(0, 1000, 200_000)
    phase = rng.uniform(0, update, 200_000)

    def shown(moment: np.ndarray) -> np.ndarray:
        updated = np.floor((moment - phase) / update) * update + phase
        return np.floor(watts * updated / step) * step

    errors = shown(start + seconds) - shown(start) - watts * seconds
    stated = Resolution(step, "J", update).uncertainty(watts, 7.0)
    actual = float(np.sqrt(np.mean(errors**2)))
    assert stated == pytest.approx(actual, rel=0.03), f"readings scatter by {actual:.4f} J, not {stated:.4f} J"


def test_power_uncertainty_is_the_spread_of_a_rounded_constant() -> None:
    rng = np.random.default_rng(2)
    watts = rng.uniform(3, 4, 200_000)
    errors = (np.round(watts / 0.04) * 0.04 - watts) * 12.0
    stated = Resolution(0.04, "W", 0.02).uncertainty(3.5, 12.0)
    assert stated == pytest.approx(float(np.std(errors)), rel=0.01), "a rectangular distribution has a / sqrt(12)"


def test_reading_gives_mean_power() -> None:
    assert EnergyReading(30.0, 6.0, 0.1, "test").watts == 5.0


def test_an_error_becomes_one_sentence() -> None:
    error = ConfigError("wanted x", seen="y", allowed="a, b", next_step="run: z")
    assert reason(error) == "wanted x; seen: y; allowed: a, b; run: z"
    assert reason(ConfigError("wanted x")) == "wanted x"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="no such file"):
        read_text(tmp_path / "energy_uj")


def test_file_that_is_not_a_number(tmp_path: Path) -> None:
    (tmp_path / "energy_uj").write_text("12 apples\n")
    with pytest.raises(UnreachableError, match="12 apples"):
        read_number(tmp_path / "energy_uj")


def test_driver_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        read_text(tmp_path)  # reading a folder fails with an OSError that is neither missing nor denied


def test_permission_denied_names_the_command(unprivileged) -> None:
    root = unprivileged({"energy_uj": "17"}, ["energy_uj"])
    with pytest.raises(MissingToolError, match="sudo chmod a\\+r") as caught:
        read_number(root / "energy_uj")
    assert "permission denied" in caught.value.seen


def test_uncertainty_of_a_counter_does_not_grow_with_time() -> None:
    resolution = Resolution(1e-3, "J", 0.1)
    assert resolution.uncertainty(50.0, 1.0) == resolution.uncertainty(50.0, 1000.0) > 2.0
