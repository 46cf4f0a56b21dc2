"""Recorded device trees: files as the kernels and firmwares of real boards show them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

Tree = Callable[[Mapping[str, str]], Path]

POWERCAP = "sys/class/powercap"
INTEL_RANGE = "262143328850"
NOBODY = 65534


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return lambda files: write_files(tmp_path, files)


@pytest.fixture
def intel_two_packages() -> dict[str, str]:
    """A two-socket Intel server: packages with core and dram zones inside, psys above, and the MMIO copy."""
    zones = {
        "intel-rapl:0": ("package-0", "1000000000"),
        "intel-rapl:1": ("package-1", "2000000000"),
        "intel-rapl:10": ("psys", "7000000000"),
        "intel-rapl:0:0": ("core", "500000000"),
        "intel-rapl:0:1": ("dram", "300000000"),
        "intel-rapl:1:0": ("dram", "400000000"),
        "intel-rapl-mmio:0": ("package-0", "1000000000"),
    }
    files = {f"{POWERCAP}/intel-rapl/enabled": "1"}
    for zone, (name, energy) in zones.items():
        files[f"{POWERCAP}/{zone}/name"] = name
        files[f"{POWERCAP}/{zone}/energy_uj"] = energy
        files[f"{POWERCAP}/{zone}/max_energy_range_uj"] = INTEL_RANGE
    return files


def _channel(folder: str, number: int, label: str, shown: tuple[int, int], *, shunt: int) -> dict[str, str]:
    """One channel: millivolts and milliamperes shown, shunt in microohms."""
    return {
        f"{folder}/in{number}_label": label,
        f"{folder}/in{number}_input": str(shown[0]),
        f"{folder}/curr{number}_input": str(shown[1]),
        f"{folder}/shunt{number}_resistor": str(shunt),
    }


@pytest.fixture
def orin_nano() -> dict[str, str]:
    """A Jetson Orin Nano: one chip, the module's input on channel 1, parts of it on 2 and 3."""
    folder = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
    return {
        **_channel(folder, 1, "VDD_IN", (5080, 1200), shunt=5000),
        **_channel(folder, 2, "VDD_CPU_GPU_CV", (5072, 320), shunt=5000),
        **_channel(folder, 3, "VDD_SOC", (5072, 280), shunt=5000),
        f"{folder}/in7_label": "sum of shunt voltages",
        f"{folder}/in7_input": "9000",
        f"{folder}/curr4_input": "1800",
        f"{folder}/name": "ina3221",
    }


@pytest.fixture
def agx_orin() -> dict[str, str]:
    """A Jetson AGX Orin: two chips, channels 1 and 3 of the second not connected."""
    first = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    second = "sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon4"
    return {
        **_channel(first, 1, "VDD_GPU_SOC", (12008, 280), shunt=2000),
        **_channel(first, 2, "VDD_CPU_CV", (12008, 40), shunt=2000),
        **_channel(first, 3, "VIN_SYS_5V0", (4968, 980), shunt=2000),
        **_channel(second, 1, "NC", (0, 0), shunt=2000),
        **_channel(second, 2, "VDDQ_VDD2_1V8AO", (4968, 80), shunt=2000),
        **_channel(second, 3, "NC", (0, 0), shunt=2000),
        f"{first}/in7_label": "sum of shunt voltages",
    }


@pytest.fixture
def agx_thor() -> dict[str, str]:
    """A Jetson AGX Thor kit: the module's rails on an INA3221, the kit's input on an INA238."""
    module = "sys/bus/i2c/drivers/ina3221/2-0040/hwmon/hwmon2"
    board = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon3"
    return {
        **_channel(module, 1, "VDD_GPU", (12016, -32), shunt=1000),
        **_channel(module, 2, "VDD_CPU_SOC_MSS", (12016, 540), shunt=1000),
        **_channel(module, 3, "VIN_SYS_5V0", (4976, 1310), shunt=1000),
        f"{module}/in7_label": "sum of shunt voltages",
        f"{board}/label": "VIN",
        f"{board}/in1_input": "19850",
        f"{board}/curr1_input": "1180",
        f"{board}/power1_input": "23420000",
        f"{board}/shunt_resistor": "2000",
        f"{board}/name": "ina238",
    }


@pytest.fixture
def pmic_text() -> str:
    """What a Raspberry Pi 5 prints: all currents first, then all voltages, numbered apart."""
    return (
        " 3V7_WL_SW_A current(0)=0.00000000A\n"
        "   3V3_SYS_A current(1)=0.06245952A\n"
        "  DDR_VDD2_A current(3)=0.00780744A\n"
        "  VDD_CORE_A current(7)=1.12518000A\n"
        "   3V3_ADC_A current(18)=0.00042735A\n"
        " 3V7_WL_SW_V volt(8)=3.71740800V\n"
        "   3V3_SYS_V volt(9)=3.30632200V\n"
        "  DDR_VDD2_V volt(11)=1.10292900V\n"
        "  VDD_CORE_V volt(15)=0.87744320V\n"
        "   3V3_ADC_V volt(21)=3.30219400V\n"
        "     EXT5V_V volt(24)=5.06788000V\n"
        "      BATT_V volt(25)=0.00488400V\n"
    )


@pytest.fixture
def unprivileged() -> Iterator[Callable[[Mapping[str, str], list[str]], Path]]:
    """Writes a tree of which some files belong to the owner alone, and reads it as somebody else.

    Root may read everything, so that it gives up its rights for the time of the test.
    """
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)

        def write(files: Mapping[str, str], private: list[str]) -> Path:
            write_files(Path(folder), files)
            for name in private:
                (Path(folder) / name).chmod(0o400 if root else 0o000)
            if root:
                os.seteuid(NOBODY)
            return Path(folder)

        yield write
        if root:
            os.seteuid(0)
