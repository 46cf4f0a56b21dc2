"""GPUs: what is read of them, and what of it disturbs a measurement."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.device import Identity
from profiles.gpu import SLOWDOWNS, GpuClock, GpuState, gpu_trouble
from profiles.gpu_jetson import read_jetson
from profiles.gpu_nvml import CLOCKS, REASONS, cuda_version, read_cards, reasons
from profiles.machine import MachineState, describe, disturbances, matches, snapshot

DRIVER = {"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 2025"}
DEVFREQ = "sys/class/devfreq"
ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0",
    f"{DEVFREQ}/17000000.gpu/cur_freq": "612000000",
    f"{DEVFREQ}/17000000.gpu/min_freq": "306000000",
    f"{DEVFREQ}/17000000.gpu/max_freq": "1020000000",
    f"{DEVFREQ}/17000000.gpu/governor": "nvhost_podgov",
    f"{DEVFREQ}/15340000.vic/cur_freq": "115200000",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "48000",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
    "sys/class/thermal/thermal_zone1/temp": "49250",
    "sys/class/hwmon/hwmon1/name": "ina3221",
    "sys/class/hwmon/hwmon3/name": "soctherm_oc",
    "sys/class/hwmon/hwmon3/oc1_event_cnt": "0",
    "sys/class/hwmon/hwmon3/oc3_event_cnt": "7",
}
THOR = {
    "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264\0",
    f"{DEVFREQ}/gpu-gpc-0/cur_freq": "1575000000",
    f"{DEVFREQ}/gpu-gpc-0/min_freq": "1575000000",
    f"{DEVFREQ}/gpu-gpc-0/max_freq": "1575000000",
    f"{DEVFREQ}/gpu-gpc-0/governor": "nvhost_podgov",
    f"{DEVFREQ}/gpu-nvd-0/cur_freq": "1692000000",
    f"{DEVFREQ}/bwmgr/cur_freq": "4266000000",
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


def look(root: Path, nvml=None, **environment: str) -> MachineState:
    return snapshot(root, nvml=nvml, environment=environment)


def test_everything_that_nvml_tells(nvml) -> None:
    nvml.card.bits = 0x4
    nvml.card.violations = {pynvml.NVML_PERF_POLICY_POWER: 1_500_000_000, pynvml.NVML_PERF_POLICY_THERMAL: 0}
    nvml.card.pids = [os.getpid(), 4711]
    nvml.card.mig = 0
    (state,) = read_cards(nvml, {})
    assert state == GpuState(
        name="NVIDIA GeForce RTX 4070",
        compute_capability="8.9",
        driver="580.95.05",
        cuda="13.0",
        memory=12 * 2.0**30,
        memory_used=2.0**29,
        clocks=(
            GpuClock("graphics", 2.475e9, None, 3.105e9),
            GpuClock("sm", 2.475e9, None, 3.105e9),
            GpuClock("memory", 10.501e9, None, 10.501e9),
        ),
        throttle_reasons=("power limit",),
        throttled_seconds={"power limit": 1.5, "temperature": 0.0},
        temperature=61.0,
        power_limit=200.0,
        performance_state="P2",
        ecc=False,
        mig=False,
        persistence=True,
        processes=1,
        own=True,
    )
    assert nvml.users == 0, "every nvmlInit needs its nvmlShutdown"


def test_a_card_that_tells_nothing_but_its_name(nvml) -> None:
    """NVML on a Jetson Orin is like this."""
    told = {"nvmlInit", "nvmlShutdown", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetName"}
    nvml.fails = {name: pynvml.NVML_ERROR_NOT_SUPPORTED for name in dir(nvml) if name.startswith("nvml")}
    nvml.fails = {name: code for name, code in nvml.fails.items() if name not in told}
    assert read_cards(nvml, {}) == (GpuState("NVIDIA GeForce RTX 4070"),)


def test_an_older_driver_knows_the_reasons_by_their_older_name(nvml) -> None:
    nvml.fails = {"nvmlDeviceGetCurrentClocksEventReasons": pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}
    nvml.card.bits = 0x40
    assert read_cards(nvml, {})[0].throttle_reasons == ("temperature (hardware)",)


def test_reasons_are_the_packages_bits() -> None:
    """Every bit that the package names has words, at the same place."""
    names = [n for n in dir(pynvml) if n.startswith(("nvmlClocksEventReason", "nvmlClocksThrottleReason"))]
    single = {getattr(pynvml, n): n for n in names if not n.endswith(("All", "None"))}
    assert set(REASONS) == set(single)
    for bit, word in ((0x1, "GpuIdle"), (0x4, "SwPowerCap"), (0x20, "SwThermal"), (0x40, "HwThermal"), (0x80, "Brake")):
        assert word in single[bit], f"{REASONS[bit]} stands for {single[bit]}"
    assert set(REASONS.values()) >= SLOWDOWNS
    assert {getattr(pynvml, name): word for name, word in CLOCKS.items()} == {0: "graphics", 1: "sm", 2: "memory"}


@given(st.integers(0, 2**14 - 1))
def test_a_mask_in_words_loses_no_bit(bits: int) -> None:
    words = reasons(bits)
    back = sum(bit for bit, word in REASONS.items() if word in words)
    unknown = [word for word in words if word.startswith("unknown")]
    back += sum(int(word[9:-1], 16) for word in unknown)
    assert back == bits


@given(st.integers(9, 19), st.integers(0, 9))
def test_cuda_versions(major: int, minor: int) -> None:
    assert cuda_version(major * 1000 + minor * 10) == f"{major}.{minor}"


def test_a_machine_without_a_driver_never_asks(tmp_path: Path, nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert look(tmp_path, nvml).gpus == ()
    assert nvml.asked == []
    assert look(tmp_path).gpus_unread == "", "the package is not even looked for"


def test_a_workstation(tmp_path: Path, nvml) -> None:
    state = look(write(tmp_path, DRIVER | {"proc/self/maps": "7f00 r-xp /usr/lib/libcuda.so.580.95.05"}), nvml)
    assert [gpu.name for gpu in state.gpus] == ["NVIDIA GeForce RTX 4070"]
    assert state.uses_cuda
    assert describe(state).endswith(", NVIDIA GeForce RTX 4070")
    assert MachineState.from_dict(json.loads(json.dumps(state.as_dict()))) == state
    assert "uuid" not in json.dumps(state.as_dict()).lower(), "no address of the machine is kept"


def test_only_the_visible_card_is_described(tmp_path: Path, nvml, new_card) -> None:
    nvml.cards.append(new_card("NVIDIA RTX A2000", "GPU-22"))
    root = write(tmp_path, DRIVER)
    assert [gpu.name for gpu in look(root, nvml, CUDA_VISIBLE_DEVICES="GPU-22").gpus] == ["NVIDIA RTX A2000"]
    assert len(look(root, nvml).gpus) == 2, "it could be either"
    hidden = look(root, nvml, CUDA_VISIBLE_DEVICES="")
    assert hidden.gpus == ()
    assert "hides every one" in hidden.gpus_unread


def test_without_the_package_the_kernel_still_tells_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    info = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 122\nGPU UUID: \t GPU-3b1f0d5e-0000\nBus Location: \t 0000:19:00.0"
    state = look(write(tmp_path, DRIVER | {"proc/driver/nvidia/gpus/0000:19:00.0/information": info}))
    assert state.gpus == (GpuState("NVIDIA H200", driver="580.95.05"),)
    assert "pip install nvidia-ml-py" in state.gpus_unread


def test_the_open_kernel_modules_version_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build"
    files = {"proc/driver/nvidia/version": line, "proc/driver/nvidia/gpus/x/information": "Model: \t NVIDIA L4"}
    assert look(write(tmp_path, files)).gpus[0].driver == "570.124.06"


def test_orin(tmp_path: Path) -> None:
    gpu = read_jetson(write(tmp_path, ORIN))
    assert gpu == GpuState(
        name="NVIDIA Tegra234 integrated GPU",
        integrated=True,
        clocks=(GpuClock("graphics", 612e6, 306e6, 1020e6),),
        governor="nvhost_podgov",
        throttle_events={"under-voltage": 0, "instantaneous over-current": 7},
        temperature=pytest.approx(49.25),
    )
    state = look(tmp_path)
    assert state.gpus[0].governor == "nvhost_podgov"
    assert "integrated" not in describe(state), "the board's name says it"


def test_jetpack_5_and_thor_name_the_clock_otherwise(tmp_path: Path) -> None:
    five = {name.replace("17000000.gpu", "17000000.ga10b"): text for name, text in ORIN.items()}
    gpu = read_jetson(write(tmp_path / "5", five))
    assert gpu is not None
    assert gpu.clocks[0].current == 612e6
    thor = read_jetson(write(tmp_path / "7", THOR))
    assert thor is not None
    assert thor.name == "NVIDIA Tegra264 integrated GPU"
    assert thor.clocks == (GpuClock("graphics", 1.575e9, 1.575e9, 1.575e9),)
    assert thor.clocks[0].locked


def test_a_jetson_whose_driver_tells_more(tmp_path: Path, nvml) -> None:
    nvml.card.name, nvml.card.capability = "NVIDIA Thor", (11, 0)
    nvml.fails = {"nvmlDeviceGetClockInfo": 3, "nvmlDeviceGetMaxClockInfo": 3}
    (gpu,) = look(write(tmp_path, THOR | {"dev/nvidiactl": ""}), nvml).gpus
    assert (gpu.name, gpu.integrated, gpu.compute_capability) == ("NVIDIA Thor", True, "11.0")
    assert gpu.clocks == (GpuClock("graphics", 1.575e9, 1.575e9, 1.575e9),)


def test_a_jetson_without_nvml_for_python_is_known_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as in the image, and on every board as it comes
    before = look(write(tmp_path, ORIN | {"dev/nvidiactl": ""}))
    after = dataclasses.replace(before, uses_cuda=True)
    assert before.gpus[0].governor == "nvhost_podgov"
    unknown = [sentence for sentence in disturbances(before, after, 1.0) if "not known" in sentence]
    assert unknown == [], "the kernel told its clock, governor, temperature and events"


def test_a_jetson_without_files_is_still_a_jetson(tmp_path: Path) -> None:
    bare = {name: text for name, text in ORIN.items() if name.startswith("proc/")}
    assert read_jetson(write(tmp_path, bare)) == GpuState("NVIDIA Tegra234 integrated GPU", integrated=True)
    assert read_jetson(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("words", "cards", "same"),
    [
        (("GeForce RTX 4070",), ("NVIDIA GeForce RTX 4070",), True),
        (("geforce rtx 4070",), ("NVIDIA GeForce RTX 4070",), True),
        (("GeForce RTX 4070",), ("NVIDIA GeForce RTX 4070 Ti",), False),
        (("GeForce RTX 4070",), ("NVIDIA GeForce RTX 4070 Laptop GPU",), False),
        (("RTX A2000",), ("NVIDIA RTX A2000 12GB",), False),
        (("H200",), ("NVIDIA H200 NVL",), False),
        (("H200",), ("NVIDIA GH200",), False),
        (("H200",), ("NVIDIA H200", "NVIDIA H200"), True),
        (("H200",), ("NVIDIA H200", "NVIDIA RTX A2000"), False),
        (("H200", "EPYC"), ("NVIDIA H200",), True),
        (("H200",), (), False),
    ],
)
def test_a_gpu_is_known_by_the_end_of_its_name(words: tuple[str, ...], cards: tuple[str, ...], *, same: bool) -> None:
    state = MachineState("x86_64", cpu_model="AMD EPYC", gpus=tuple(GpuState(name) for name in cards))
    assert matches(Identity("x86_64", words), state) is same


BUSY = GpuState(
    "NVIDIA H200",
    clocks=(GpuClock("graphics", 1.98e9, None, 1.98e9), GpuClock("memory", 3.2e9, None, 3.2e9)),
    throttled_seconds={"power limit": 100.0, "temperature": 2.0},
    processes=0,
)
IDLE = dataclasses.replace(BUSY, throttle_reasons=("idle",), clocks=(GpuClock("graphics", 3.45e8, None, 1.98e9),))
TEGRA = GpuState(
    "Orin (nvgpu)",
    integrated=True,
    clocks=(GpuClock("graphics", 6e8, 3.06e8, 1.02e9),),
    governor="nvhost_podgov",
    throttle_events={"instantaneous over-current": 3},
)
LOCKED = dataclasses.replace(TEGRA, clocks=(GpuClock("graphics", 1.02e9, 1.02e9, 1.02e9),))


def changed(state: GpuState, **fields: object) -> GpuState:
    return dataclasses.replace(state, **fields)


def test_a_quiet_gpu_is_not_suspected() -> None:
    near = (GpuClock("graphics", 1.95e9), BUSY.clocks[1])
    spent = {"power limit": 100.05, "temperature": 2.0}
    calm = changed(BUSY, clocks=near, throttled_seconds=spent, throttle_reasons=("application clocks setting",))
    assert gpu_trouble((BUSY,), (calm,), 10.0) == []
    assert gpu_trouble((IDLE,), (BUSY,), 10.0) == [], "an idle card's clocks are low: that is no change"
    assert gpu_trouble((LOCKED,), (LOCKED,), 10.0) == []
    assert gpu_trouble((BUSY,), (changed(BUSY, processes=1),), 1.0) == [], "in a container that is this process"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            BUSY,
            changed(BUSY, throttled_seconds={"power limit": 104.5, "temperature": 2.0}),
            "the GPU was throttled for 4.50 s by its power limit",
        ),
        (
            changed(BUSY, throttled_seconds={}),
            changed(BUSY, throttled_seconds={}, throttle_reasons=("power limit", "sync boost")),
            "the GPU was slowed down at the end: power limit",
        ),
        (
            BUSY,
            changed(BUSY, clocks=(GpuClock("graphics", 1.2e9), BUSY.clocks[1])),
            "the GPU's graphics clock changed from 1980 to 1200 MHz",
        ),
        (changed(BUSY, processes=2), BUSY, "2 other processes computed on the same GPU"),
        (BUSY, changed(BUSY, processes=1, own=True), "1 other process computed on the same GPU"),
        (BUSY, changed(BUSY, processes=2), "1 other process computed on the same GPU"),
        (
            TEGRA,
            TEGRA,
            "the GPU's clock was free to move between 306 and 1020 MHz (governor nvhost_podgov); "
            "sudo jetson_clocks locks it",
        ),
        (
            LOCKED,
            changed(LOCKED, throttle_events={"instantaneous over-current": 8}),
            "the board lowered its clocks 5 times: instantaneous over-current",
        ),
    ],
)
def test_each_disturbance_is_one_sentence(before: GpuState, after: GpuState, sentence: str) -> None:
    assert gpu_trouble((before,), (after,), 10.0) == [sentence]


def test_a_gpu_that_left() -> None:
    assert gpu_trouble((BUSY, BUSY), (BUSY,), 1.0) == ["the number of GPUs changed from 2 to 1"]


def test_the_gpu_is_no_matter_to_work_on_the_processor() -> None:
    before = MachineState("x86_64", gpus=(changed(BUSY, processes=3),))
    assert disturbances(before, before, 1.0) == []
    after = dataclasses.replace(before, uses_cuda=True, gpus_unread="no permission")
    assert disturbances(before, after, 1.0) == [
        "3 other processes computed on the same GPU",
        "the state of the GPU is not known: no permission",
    ]
