from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from profiles.device import Identity
from profiles.errors import MissingToolError
from profiles.machine import MachineState, describe, disturbances, matches, snapshot
from profiles.machine_files import CpuClock, normal_arch

CPU = "sys/devices/system/cpu"
STAT = "cpu  18399 0 10078 173059 1076 0 195 {steal} 0 0\n{lines}intr 1 2 3\nctxt 99"


def never(command: str) -> str:
    raise AssertionError(f"a machine that is no Raspberry Pi was asked for {command}")


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


def stat(cores: int, steal: int = 0) -> str:
    return STAT.format(steal=steal, lines="".join(f"cpu{n} 1 0 1 9 0 0 0 0 0 0\n" for n in range(cores)))


def clock_files(cpu: int, governor: str, current: int, low: int, high: int) -> dict[str, str]:
    folder = f"{CPU}/cpu{cpu}/cpufreq"
    return {
        f"{folder}/scaling_governor": governor,
        f"{folder}/scaling_cur_freq": str(current),
        f"{folder}/scaling_min_freq": str(low),
        f"{folder}/scaling_max_freq": str(high),
    }


INTEL = {
    "proc/sys/kernel/arch": "x86_64",
    "proc/sys/kernel/osrelease": "6.8.0-45-generic",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: 12th Gen Intel(R) Core(TM) i7-1260P\nflags\t\t: fpu vme sse2 avx2\n"
    "\nprocessor\t: 1\nmodel name\t: 12th Gen Intel(R) Core(TM) i7-1260P\nflags\t\t: fpu vme sse2 avx2\n",
    "proc/meminfo": "MemTotal:       32554324 kB\nMemFree:         1000000 kB",
    "proc/loadavg": "0.52 0.58 0.59 1/913 12345",
    "proc/stat": stat(2),
    "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"',
    **clock_files(0, "powersave", 2100000, 400000, 4700000),
    **clock_files(1, "powersave", 1900000, 400000, 4700000),
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3",
    f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4",
    "sys/class/thermal/thermal_zone0/type": "acpitz",
    "sys/class/thermal/thermal_zone0/temp": "27800",
    "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp",
    "sys/class/thermal/thermal_zone1/temp": "54000",
}
ARM_BLOCK = (
    "processor\t: {n}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd\nCPU implementer\t: {maker}\nCPU architecture: 8\n"
    "CPU variant\t: 0x4\nCPU part\t: {part}\nCPU revision\t: 1\n"
)
PI5 = {
    "proc/sys/kernel/arch": "aarch64",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/cpuinfo": "\n".join(ARM_BLOCK.format(n=n, maker="0x41", part="0xd0b") for n in range(4)),
    "proc/stat": stat(4),
    "proc/loadavg": "0.10 0.20 0.30 1/100 5",
    "proc/meminfo": "MemTotal:        8245408 kB",
    **clock_files(0, "ondemand", 2400000, 1500000, 2400000),
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "48850",
}
ORIN_NANO = {
    "proc/sys/kernel/arch": "aarch64",
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "proc/cpuinfo": "\n".join(ARM_BLOCK.format(n=n, maker="0x41", part="0xd42") for n in range(6)),
    "proc/stat": stat(6),
    "proc/loadavg": "1.10 0.20 0.30 1/100 5",
    "var/lib/nvpmodel/status": "pmode:0002",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "51250",
    "sys/class/thermal/thermal_zone9/type": "tj-thermal",
    "sys/class/thermal/thermal_zone9/temp": "51500",
    "sys/class/thermal/thermal_zone10/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone10/temp": "50000",
}


def test_a_container_knows_its_board_by_the_mounted_device_tree(tmp_path: Path) -> None:
    """Docker hides /sys/firmware, to which /proc/device-tree leads."""
    inside = {name: text for name, text in ORIN_NANO.items() if not name.startswith("proc/device-tree")}
    assert snapshot(write(tmp_path, inside), run=never).device_model is None
    mounted = {"etc/edgewright/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0"}
    assert snapshot(write(tmp_path, mounted), run=never).device_model == "NVIDIA Jetson AGX Orin Developer Kit"


def test_intel_box(tmp_path: Path) -> None:
    state = snapshot(write(tmp_path, INTEL), run=never)
    assert state.arch == "x86_64"
    assert state.cpu_model == "12th Gen Intel(R) Core(TM) i7-1260P"
    assert state.device_model is None
    assert state.cores == 2
    assert state.ram == 32554324 * 1024
    assert state.system == "Ubuntu 24.04.1 LTS"
    assert state.kernel == "6.8.0-45-generic"
    assert state.virtual is False
    assert state.load == (0.52, 0.58, 0.59)
    assert state.steal == 0.0
    assert state.clocks == (
        CpuClock(0, "powersave", 2.1e9, 4e8, 4.7e9),
        CpuClock(1, "powersave", 1.9e9, 4e8, 4.7e9),
    )
    assert state.temperatures == {"acpitz": pytest.approx(27.8), "x86_pkg_temp": pytest.approx(54.0)}
    assert state.throttle_count == 7
    assert state.throttled_bits is None
    assert state.power_mode is None
    assert describe(state) == "12th Gen Intel(R) Core(TM) i7-1260P, 2 cores, x86_64"


def test_virtual_machine(tmp_path: Path) -> None:
    files = {
        "proc/sys/kernel/arch": "x86_64",
        "proc/cpuinfo": "model name\t: AMD EPYC\nflags\t\t: fpu rdrand hypervisor lahf_lm",
        "proc/stat": stat(2, steal=250),
    }
    state = snapshot(write(tmp_path, files), run=never)
    assert state.virtual is True
    assert state.steal == pytest.approx(250 / os.sysconf("SC_CLK_TCK"))
    assert describe(state) == "AMD EPYC, 2 cores, x86_64, virtual"


def test_raspberry_pi_5(tmp_path: Path) -> None:
    asked = []

    def run(command: str) -> str:
        asked.append(command)
        return "throttled=0x50005\n"

    state = snapshot(write(tmp_path, PI5), run=run)
    assert asked == ["get_throttled"]
    assert state.device_model == "Raspberry Pi 5 Model B Rev 1.0"
    assert state.cpu_model == "Cortex-A76"
    assert state.throttled_bits == 0x50005
    assert state.virtual is None, "an Arm processor does not tell"
    assert describe(state) == "Raspberry Pi 5 Model B Rev 1.0, 4 cores, aarch64"


def test_raspberry_pi_without_its_program(tmp_path: Path) -> None:
    def run(command: str) -> str:
        raise MissingToolError("wanted to run vcgencmd", seen="no such program")

    assert snapshot(write(tmp_path, PI5), run=run).throttled_bits is None


def test_jetson_orin_nano(tmp_path: Path) -> None:
    state = snapshot(write(tmp_path, ORIN_NANO), run=never)
    assert state.power_mode == "2 (MAXN_SUPER)"
    assert state.cpu_model == "Cortex-A78AE"
    assert list(state.temperatures.items()) == [
        ("cpu-thermal", pytest.approx(51.25)),
        ("tj-thermal", pytest.approx(51.5)),
        ("cpu-thermal (thermal_zone10)", pytest.approx(50.0)),
    ]


def test_a_phone_has_two_kinds_of_cores_and_other_makers_numbers_are_not_arms(tmp_path: Path) -> None:
    blocks = [("0x41", "0xd05"), ("0x41", "0xd05"), ("0x41", "0xd41"), ("0x51", "0xd0b")]
    cpuinfo = "\n".join(ARM_BLOCK.format(n=n, maker=maker, part=part) for n, (maker, part) in enumerate(blocks))
    state = snapshot(write(tmp_path, {"proc/cpuinfo": cpuinfo}), run=never)
    assert state.cpu_model == "Cortex-A55 + Cortex-A78"


def test_a_machine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    state = snapshot(tmp_path, run=never)
    silent = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    assert silent.pop("arch") == "aarch64"
    assert silent.pop("python")
    assert silent.pop("clocks") == ()
    assert silent.pop("temperatures") == {}
    assert silent.pop("gpus") == ()
    assert silent.pop("gpus_unread") == ""
    assert set(silent.values()) == {None}, "what is not there is None, never 0"
    assert describe(state) == "unknown processor, aarch64"
    assert disturbances(state, state, 1.0) == []


def test_files_that_cannot_be_read_or_hold_no_number(tmp_path: Path) -> None:
    root = write(tmp_path, {**INTEL, "sys/class/thermal/thermal_zone0/temp": "N/A"})
    (root / "sys/class/thermal/thermal_zone2/temp").mkdir(parents=True)
    state = snapshot(root, run=never)
    assert list(state.temperatures) == ["x86_pkg_temp"]


@pytest.mark.parametrize("files", [INTEL, PI5, ORIN_NANO, {}])
def test_a_trip_through_json_changes_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    state = snapshot(write(tmp_path, files), run=lambda _: "throttled=0x0")
    assert MachineState.from_dict(json.loads(json.dumps(state.as_dict()))) == state


def test_this_machine() -> None:
    state = snapshot()
    assert state.arch
    assert state.cores
    assert state.ram is not None
    assert state.ram > 2**26
    assert state.load is not None


@pytest.mark.parametrize(
    ("alias", "name"),
    [("amd64", "x86_64"), ("AMD64", "x86_64"), ("arm64", "aarch64"), ("aarch64", "aarch64"), ("riscv64", "riscv64")],
)
def test_names_of_architectures(alias: str, name: str) -> None:
    assert normal_arch(alias) == name


@pytest.mark.parametrize(
    ("files", "identity", "same"),
    [
        (PI5, Identity("arm64", ("Raspberry Pi 5",)), True),
        (PI5, Identity("aarch64", ("raspberry pi", "cortex-a76")), True),
        (PI5, Identity("aarch64", ("Raspberry Pi 4",)), False),
        (PI5, Identity("x86_64", ("Raspberry Pi 5",)), False),
        (PI5, Identity("", ("Raspberry Pi 5",)), True),
        (ORIN_NANO, Identity("aarch64", ("Orin", "Nano")), True),
        (ORIN_NANO, Identity("aarch64", ("AGX Orin",)), False),
        (INTEL, Identity("amd64", ("i7-1260P",)), True),
        (INTEL, Identity("amd64", ("i7-1260P", "Xeon")), False),
        (INTEL, Identity("amd64"), True),
        (INTEL, Identity(), False),
        ({"proc/sys/kernel/arch": "x86_64"}, Identity("x86_64", ("i7",)), False),
    ],
)
def test_whether_a_machine_is_the_device(
    tmp_path: Path, files: dict[str, str], identity: Identity, *, same: bool
) -> None:
    state = snapshot(write(tmp_path, files), run=lambda _: "throttled=0x0")
    assert matches(identity, state) is same


QUIET = MachineState(
    "x86_64",
    cores=2,
    load=(0.5, 0.5, 0.5),
    steal=10.0,
    clocks=(CpuClock(0, "performance", 2e9, 1e9, 2e9), CpuClock(1, "performance", 2e9, 1e9, 2e9)),
    throttle_count=7,
    throttled_bits=0x50000,
    power_mode="2 (MAXN)",
)


def changed(**fields: object) -> MachineState:
    return dataclasses.replace(QUIET, **fields)


def test_a_quiet_machine_is_not_suspected() -> None:
    later = changed(load=(1.9, 0.5, 0.5), steal=10.05, clocks=(CpuClock(0, "performance", 1.95e9), QUIET.clocks[1]))
    assert disturbances(QUIET, later, 10.0) == [], "old throttling bits and small changes are no news"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (QUIET, changed(load=(3.7, 1, 1)), "the load was 3.7 on 2 cores: other work was waiting for them"),
        (changed(load=(2.5, 1, 1)), QUIET, "the load was 2.5 on 2 cores: other work was waiting for them"),
        (QUIET, changed(steal=11.5), "the hypervisor gave 1.50 s of processor time to others within 10.00 s"),
        (
            QUIET,
            changed(clocks=(QUIET.clocks[0], CpuClock(1, "performance", 1e9))),
            "the clock of processor 1 changed from 2000 to 1000 MHz",
        ),
        (
            QUIET,
            changed(clocks=(CpuClock(0, "performance", 1.8e9), CpuClock(1, "performance", 1e9))),
            "the clock of processor 1 and 1 more changed from 2000 to 1000 MHz",
        ),
        (QUIET, changed(power_mode="0 (15W)"), "the power mode changed from 2 (MAXN) to 0 (15W)"),
        (QUIET, changed(throttle_count=9), "the processor was throttled by its temperature (2 events)"),
        (QUIET, changed(throttled_bits=0x50004), "the firmware reports: throttled"),
        (QUIET, changed(throttled_bits=0xD0000), "the firmware reports: soft temperature limit"),
        (
            changed(throttled_bits=0x50005),
            changed(throttled_bits=0x50005),
            "the firmware reports: under-voltage, throttled",
        ),
    ],
)
def test_each_disturbance_is_one_sentence(before: MachineState, after: MachineState, sentence: str) -> None:
    assert disturbances(before, after, 10.0) == [sentence]


def test_governor() -> None:
    slow = changed(clocks=(CpuClock(0, "powersave", 2e9), CpuClock(1, "schedutil", 2e9)))
    assert disturbances(slow, slow, 1.0) == ["the clock governor was powersave, schedutil, not performance"]
