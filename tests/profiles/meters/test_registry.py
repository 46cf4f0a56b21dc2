from __future__ import annotations

from pathlib import Path

import pytest

from profiles.device import Power
from profiles.errors import ConfigError, MissingToolError
from profiles.meters.checked import CheckedMeter
from profiles.meters.csv_meter import CsvMeter
from profiles.meters.ina3221 import Ina3221Meter
from profiles.meters.nvml_power import NvmlPowerMeter
from profiles.meters.pmic import PmicMeter
from profiles.meters.rapl import RaplMeter
from profiles.meters.registry import find_meter

PI5 = {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}


def no_program(command: str) -> str:
    raise MissingToolError(f"wanted to run vcgencmd {command}", seen="no such program")


def test_intel_box_is_probed(tree, intel_two_packages) -> None:
    meter, why = find_meter(Power(), tree(intel_two_packages), run=no_program)
    assert isinstance(meter, RaplMeter)
    assert why == ""


def test_jetson_by_name_and_rails(tree, orin_nano) -> None:
    meter, why = find_meter(Power("ina3221", ("VDD_IN",)), tree(orin_nano), run=no_program)
    assert isinstance(meter, Ina3221Meter)
    assert why == ""


def test_agx_orin_is_probed_when_rails_are_named(tree, agx_orin) -> None:
    meter, _ = find_meter(Power(rails=("VDD_GPU_SOC", "VDD_CPU_CV")), tree(agx_orin), run=no_program)
    assert isinstance(meter, Ina3221Meter)


def test_jetson_without_rails_is_not_guessed(tree, orin_nano) -> None:
    meter, why = find_meter(Power(), tree(orin_nano), run=no_program)
    assert meter is None
    assert "VDD_IN, VDD_CPU_GPU_CV, VDD_SOC" in why


def test_raspberry_pi_5_is_probed(tree, pmic_text: str) -> None:
    meter, why = find_meter(Power(), tree(PI5), run=lambda _: pmic_text)
    assert isinstance(meter, PmicMeter)
    assert why == ""


def test_a_named_meter_that_is_not_usable_is_not_replaced(tree, intel_two_packages) -> None:
    meter, why = find_meter(Power("pmic"), tree(intel_two_packages), run=no_program)
    assert meter is None
    assert why.startswith("pmic: ")
    assert "rapl" not in why


def test_nothing_there_gives_every_reason(tmp_path: Path) -> None:
    meter, why = find_meter(Power(), tmp_path, run=no_program)
    assert meter is None
    assert why.startswith("no energy meter on this machine")
    for name in ("rapl:", "ina3221:", "pmic:"):
        assert name in why


def test_the_profiles_note_goes_first(tmp_path: Path) -> None:
    _, why = find_meter(Power(note="no meter on the board: use an external logger"), tmp_path, run=no_program)
    assert why.startswith("no meter on the board: use an external logger; rapl: ")


def test_a_graphics_card_is_used_only_when_named(tmp_path: Path, nvml) -> None:
    meter, _ = find_meter(Power(), tmp_path, run=no_program, nvml=nvml)
    assert meter is None
    assert nvml.asked == [], "a card in the machine says nothing of an inference on the processor"
    meter, why = find_meter(Power("nvml"), tmp_path, nvml=nvml, environment={})
    assert isinstance(meter, CheckedMeter), why
    assert meter.name == "nvml"


def test_a_card_without_a_counter_can_be_sampled(tmp_path: Path, nvml) -> None:
    nvml.fails = {"nvmlDeviceGetTotalEnergyConsumption": 3}
    meter, why = find_meter(Power("nvml"), tmp_path, nvml=nvml, environment={})
    assert meter is None
    assert why.startswith("nvml: ")
    meter, why = find_meter(Power("nvml-power"), tmp_path, nvml=nvml, environment={})
    assert isinstance(meter, NvmlPowerMeter), why


def test_the_environment_chooses_the_card(tmp_path: Path, nvml, new_card) -> None:
    nvml.cards.append(new_card("NVIDIA RTX A2000", "GPU-22"))
    meter, why = find_meter(Power("nvml"), tmp_path, nvml=nvml, environment={})
    assert meter is None
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in why
    meter, why = find_meter(Power("nvml"), tmp_path, nvml=nvml, environment={"CUDA_VISIBLE_DEVICES": "GPU-22"})
    assert meter is not None, why


def test_csv_of_an_external_logger(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("time,power\n0,1\n1,1\n")
    meter, why = find_meter(Power(f"csv:{path}"))
    assert isinstance(meter, CsvMeter), why


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="does not exist") as caught:
        find_meter(Power("ina3212"))
    assert "ina3221" in caught.value.next_step
