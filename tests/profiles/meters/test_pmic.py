from __future__ import annotations

import math
from pathlib import Path

import pytest

from profiles.errors import ConfigError, MissingToolError, UnreachableError
from profiles.meters import pmic
from profiles.meters.pmic import PmicMeter, parse_rails, vcgencmd

NEVER = 1e6
PI5 = {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}
CORE = 0.87744320 * 1.12518
SYS = 3.30632200 * 0.06245952
DDR = 1.10292900 * 0.00780744
ADC = 3.30219400 * 0.00042735


def make(root: Path, text: str, rails: tuple[str, ...] = ()) -> tuple[PmicMeter, list[float], list[str]]:
    now, asked = [0.0], []

    def run(command: str) -> str:
        asked.append(command)
        return text

    return PmicMeter(rails, root, run, interval=NEVER, clock=lambda: now[0]), now, asked


def test_rails_are_paired_by_name_not_by_number(pmic_text: str) -> None:
    rails = parse_rails(pmic_text)
    assert list(rails) == ["3V7_WL_SW", "3V3_SYS", "DDR_VDD2", "VDD_CORE", "3V3_ADC"], "EXT5V and BATT have no current"
    assert rails["VDD_CORE"] == (0.87744320, 1.12518)


def test_power_is_the_sum_over_all_pairs(tree, pmic_text: str) -> None:
    meter, now, asked = make(tree(PI5), pmic_text)
    assert meter.available() == ""
    meter.start()
    now[0] = 4.0
    reading = meter.stop()
    assert reading.watts == pytest.approx(CORE + SYS + DDR + ADC)
    assert reading.rails["VDD_CORE"] == pytest.approx(CORE * 4.0)
    assert set(asked) == {"pmic_read_adc"}
    assert "5 V input" in reading.method


def test_named_rails_only(tree, pmic_text: str) -> None:
    meter, now, _ = make(tree(PI5), pmic_text, ("VDD_CORE", "DDR_VDD2"))
    meter.start()
    now[0] = 1.0
    assert meter.stop().joules == pytest.approx(CORE + DDR)


def test_a_missing_rail_names_those_seen(tree, pmic_text: str) -> None:
    meter, _, _ = make(tree(PI5), pmic_text, ("EXT5V",))
    with pytest.raises(ConfigError, match="EXT5V") as caught:
        meter.start()
    assert "VDD_CORE" in caught.value.seen


def test_resolution_is_that_of_the_core_rail(tree, pmic_text: str) -> None:
    meter, _, _ = make(tree(PI5), pmic_text, ("VDD_CORE",))
    assert meter.resolution.value == pytest.approx(0.02679 * 0.8774432)
    whole, _, _ = make(tree(PI5), pmic_text)
    others = [3.717408e-3, 3.306322e-3, 1.102929e-3, 3.302194e-3]
    assert whole.resolution.value == pytest.approx(math.hypot(0.02679 * 0.8774432, *others))


@pytest.mark.parametrize("model", ["Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 3 Model B Plus Rev 1.3"])
def test_older_boards_are_refused_without_asking(tree, pmic_text: str, model: str) -> None:
    meter, _, asked = make(tree({"proc/device-tree/model": model}), pmic_text)
    assert model in meter.available()
    assert asked == []


def test_no_raspberry_pi(tmp_path: Path, pmic_text: str) -> None:
    assert "no Raspberry Pi" in make(tmp_path, pmic_text)[0].available()


@pytest.mark.parametrize(
    "text", ["", "VCHI initialization failed", " EXT5V_V volt(24)=5.06788000V\n", "A_A current(0)=1.0A\n"]
)
def test_text_without_a_pair(text: str) -> None:
    with pytest.raises(UnreachableError, match="rails with volts and amperes"):
        parse_rails(text)


def test_text_with_a_broken_number() -> None:
    with pytest.raises(UnreachableError, match="a number for the rail A"):
        parse_rails("A_A current(0)=1.0.0A\nA_V volt(1)=5.0V\n")


def test_a_rail_that_disappears(tree, pmic_text: str) -> None:
    texts = iter([pmic_text, pmic_text, pmic_text.replace("VDD_CORE_A", "VDD_GONE_A")])
    now = [0.0]
    meter = PmicMeter((), tree(PI5), lambda _: next(texts), interval=NEVER, clock=lambda: now[0])
    meter.start()
    now[0] = 1.0
    with pytest.raises(UnreachableError, match="VDD_CORE"):
        meter.stop()


def program(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a vcgencmd of our own first on the path."""
    path = folder / "vcgencmd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_program_is_run_without_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, 'echo "got [$1] of $#"', monkeypatch)
    assert vcgencmd("get_throttled; true") == "got [get_throttled; true] of 1\n"


def test_the_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="no such program"):
        vcgencmd("pmic_read_adc")


def test_no_permission_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, 'echo "Can\'t open device file: /dev/vcio" >&2; exit 255', monkeypatch)
    with pytest.raises(MissingToolError, match="usermod -aG video"):
        vcgencmd("pmic_read_adc")


def test_a_firmware_error_with_exit_code_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "echo 'error=1 error_msg=\"Command not registered\"'", monkeypatch)
    with pytest.raises(UnreachableError, match="Command not registered"):
        vcgencmd("pmic_read_adc")


def test_a_program_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmic, "TIMEOUT", 0.2)
    program(tmp_path, "exec sleep 60", monkeypatch)
    with pytest.raises(UnreachableError, match="timed out"):
        vcgencmd("pmic_read_adc")
