"""NVML through its stand-in, which has to look like the real package."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pynvml
import pytest

import profiles
from profiles.errors import MissingToolError, UnreachableError
from profiles.nvml import MEANINGS, Nvml

SOURCES = [path for path in Path(profiles.__file__).parent.rglob("*.py") if "nvml" in path.read_text(encoding="utf-8")]
CALLED = sorted({name for path in SOURCES for name in re.findall(r'"(nvml[A-Z]\w+)"', path.read_text("utf-8"))})
NUMBERS = sorted({name for path in SOURCES for name in re.findall(r'"(NVML_\w+)"', path.read_text("utf-8"))})


def test_the_sources_name_what_they_call() -> None:
    assert "nvmlDeviceGetTotalEnergyConsumption" in CALLED
    assert "NVML_PERF_POLICY_THERMAL" in NUMBERS
    assert len(CALLED) > 15, "the pattern must find the calls"


@pytest.mark.parametrize("name", CALLED)
def test_every_function_is_in_the_real_package_with_the_signature_of_the_stand_in(name: str, nvml) -> None:
    real = list(inspect.signature(getattr(pynvml, name)).parameters)
    fake = list(inspect.signature(getattr(nvml, name)).parameters)
    assert fake == real, f"{name}: the stand-in takes {fake}, the package {real}"


@pytest.mark.parametrize("name", NUMBERS)
def test_every_constant_is_in_the_real_package(name: str) -> None:
    assert isinstance(getattr(pynvml, name), int)


def test_the_structures_have_the_fields_that_are_read() -> None:
    def fields(name: str) -> set[str]:
        return {field[0] for field in getattr(pynvml, name)._fields_}

    assert {"nvmlReturn", "value"} <= fields("c_nvmlFieldValue_t")
    assert "uiVal" in fields("c_nvmlValue_t")
    assert "violationTime" in fields("c_nvmlViolationTime_t")
    assert {"total", "used"} <= fields("c_nvmlMemory_t")
    assert "pid" in fields("c_nvmlProcessInfo_t")


def test_return_codes_are_those_of_the_package() -> None:
    known = {getattr(pynvml, name): name for name in dir(pynvml) if name.startswith("NVML_ERROR_")}
    assert set(MEANINGS) <= set(known)
    assert known[15] == "NVML_ERROR_GPU_IS_LOST"
    assert known[18] == "NVML_ERROR_LIB_RM_VERSION_MISMATCH"


@pytest.mark.parametrize("code", MEANINGS)
def test_every_return_code_becomes_an_error_with_a_next_step(code: int, nvml) -> None:
    nvml.fails = {"nvmlInit": code}
    kind, seen, step = MEANINGS[code]
    with pytest.raises(kind) as caught:
        Nvml(nvml).open()
    assert caught.value.seen == seen
    assert caught.value.next_step == step
    assert step, f"code {code} leaves the user alone"


def test_an_unknown_code_keeps_the_drivers_words(nvml) -> None:
    nvml.fails = {"nvmlInit": pynvml.NVML_ERROR_TIMEOUT}
    with pytest.raises(UnreachableError, match="Timeout"):
        Nvml(nvml).open()


def test_what_cannot_be_told_is_none(nvml) -> None:
    nvml.fails = {"nvmlDeviceGetTemperature": pynvml.NVML_ERROR_NOT_SUPPORTED}
    with Nvml(nvml) as opened:
        assert opened.ask_or_none("nvmlDeviceGetTemperature", nvml.card, 0) is None
        assert opened.ask_or_none("nvmlDeviceGetSomethingNewer", nvml.card) is None, "an older package lacks functions"
        assert opened.ask_or_none("nvmlDeviceGetName", nvml.card) == nvml.card.name
    assert nvml.users == 0


def test_closing_after_the_driver_is_gone_hides_no_other_error(nvml) -> None:
    with pytest.raises(ZeroDivisionError), Nvml(nvml):
        nvml.fails = {"nvmlShutdown": pynvml.NVML_ERROR_UNINITIALIZED}
        raise ZeroDivisionError


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MissingToolError, match="pip install nvidia-ml-py"):
        Nvml().open()
