from __future__ import annotations

from pathlib import Path

import pytest

from profiles.errors import ConfigError, DataError
from profiles.meters.csv_columns import RECOGNISED, Columns, Layout, find_layout


def layout(tmp_path: Path, text: str, columns: Columns = RECOGNISED, *, supply_voltage: bool = False) -> Layout:
    path = tmp_path / "log.csv"
    path.write_text(text, encoding="utf-8")
    return find_layout(path, columns, supply_voltage=supply_voltage)


def test_joulescope_has_si_units_without_saying_so(tmp_path: Path) -> None:
    found = layout(tmp_path, "#time,current,voltage,power,charge,energy\n0.0,0.4,4.7,1.9,0,0\n")
    assert found == Layout(1, ",", ("time", "power"), (0, 3), (1.0, 1.0))


def test_ppk2_has_current_alone(tmp_path: Path) -> None:
    text = "Timestamp(ms),Current(uA),D0-D7\n0,50000,00000000\n"
    found = layout(tmp_path, text, supply_voltage=True)
    assert found.kinds == ("time", "current")
    assert found.scales == (1e-3, 1e-6)
    with pytest.raises(ConfigError, match="power, or current and voltage") as caught:
        layout(tmp_path, text)
    assert "supply_voltage" in caught.value.next_step


@pytest.mark.parametrize(
    ("header", "kinds", "scales"),
    [
        ("Timestamp (s),Main current - Arc (A),Main voltage - Arc (V)", ("time", "current", "voltage"), (1, 1, 1)),
        ("Time [ms];Power [mW]", ("time", "power"), (1e-3, 1e-3)),
        ("time_s\tpower_mw", ("time", "power"), (1, 1e-3)),
        ("timestamp,amps,voltage_v", ("time", "current", "voltage"), (1, 1, 1)),
        ("t,i,v", ("time", "current", "voltage"), (1, 1, 1)),
        ("index,time(us),Current (µA),Voltage (mV)", ("time", "current", "voltage"), (1e-6, 1e-6, 1e-3)),
        ('"Time (s)","Average Power (W)"', ("time", "power"), (1, 1)),
        ("time_us,POWER_KW", ("time", "power"), (1e-6, 1e3)),
        ("time,CPU power,power", ("time", "power"), (1, 1)),
    ],
)
def test_headers_of_many_tools(tmp_path: Path, header: str, kinds: tuple[str, ...], scales: tuple[float, ...]) -> None:
    found = layout(tmp_path, f"{header}\n0,1,2,3\n")
    assert found.kinds == kinds
    assert found.scales == pytest.approx(scales)


def test_an_exact_title_goes_before_one_that_contains_the_word(tmp_path: Path) -> None:
    assert layout(tmp_path, "time,CPU power,power\n0,1,2\n").places == (0, 2)


def test_header_after_a_preamble(tmp_path: Path) -> None:
    found = layout(tmp_path, "# Joulescope JS220\n# exported 2026-11-20\n\ntime (s),power (W)\n0,1\n")
    assert found.header_row == 4


def test_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes("\ufefftime,power\n0,1\n".encode())
    assert find_layout(path, RECOGNISED, supply_voltage=False).places == (0, 1)


def test_named_columns(tmp_path: Path) -> None:
    text = "moment (ms),total draw (mW),power\n0,1,2\n"
    found = layout(tmp_path, text, Columns(time="moment (ms)", power="total draw (mW)"))
    assert found.places == (0, 1)
    assert found.scales == (1e-3, 1e-3)


def test_a_named_column_that_is_missing_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the column 'Powr'") as caught:
        layout(tmp_path, "time,current,voltage,Power\n0,1,2,3\n", Columns(power="Powr"))
    assert caught.value.seen == "time, current, voltage, Power"
    assert "Power" in caught.value.next_step


@pytest.mark.parametrize("unit", ["MW", "hp", "mA", "J"])
def test_an_unknown_unit_is_refused(tmp_path: Path, unit: str) -> None:
    with pytest.raises(ConfigError, match="unit of power") as caught:
        layout(tmp_path, f"time (s),power ({unit})\n0,1\n")
    assert "mW" in caught.value.allowed


@pytest.mark.parametrize(("text", "seen"), [("", "an empty file"), ("a,b\n1,2\n", "a,b"), ("0.1,0.2\n", "0.1")])
def test_no_header(tmp_path: Path, text: str, seen: str) -> None:
    with pytest.raises(DataError, match="header with a time column") as caught:
        layout(tmp_path, text)
    assert seen in caught.value.seen


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        find_layout(tmp_path / "missing.csv", RECOGNISED, supply_voltage=False)
