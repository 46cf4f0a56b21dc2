"""Why a machine cannot run bundles for a GPU: without a driver at once, else by what a child process finds."""

import dataclasses
import time

import pytest

from profiles.device import Cpu, Device
from profiles.errors import MissingToolError
from targets import execute
from targets.tensorrt import presence
from targets.tensorrt.gpu.gpu import Gpu

A2000 = Device("rtx-a2000", "RTX A2000", ("tensorrt",), Cpu("x86_64"), parameters={"compute_capability": "8.6"})
SEEN = Gpu("Some GPU", "8.6", "580.65.06", "13.0", 8 << 30)


@pytest.fixture
def found(monkeypatch):
    """Let the driver be there, and the child process find something; counts how often it is asked."""
    asked = []

    def install(what):
        def converse(argv, **options):
            asked.append(argv)
            if isinstance(what, Exception):
                raise what
            return {"gpu": what.as_dict()}

        presence._ask.cache_clear()
        monkeypatch.setattr(presence, "can_load", lambda: "")
        monkeypatch.setattr(execute, "converse", converse)
        return asked

    yield install
    presence._ask.cache_clear()


def test_without_a_driver_the_answer_comes_at_once_and_starts_nothing(monkeypatch):
    monkeypatch.setattr(presence, "can_load", lambda: "libcuda.so.1 was not found")
    monkeypatch.setattr(execute, "converse", lambda *_, **__: pytest.fail("a child process was started"))
    start = time.perf_counter()
    assert presence.why_absent(A2000) == "no NVIDIA driver on this machine (libcuda.so.1 was not found)"
    assert time.perf_counter() - start < 0.3


def test_the_gpu_of_the_device_is_present(found, monkeypatch):
    monkeypatch.setattr(presence, "_cannot_serve", lambda library, gpu: "")
    asked = found(SEEN)
    assert presence.why_absent(A2000) == ""
    assert presence.why_absent(A2000) == ""
    assert len(asked) == 1, "the driver is asked once"


def test_another_gpu_is_named_with_both_compute_capabilities(found):
    found(dataclasses.replace(SEEN, compute_capability="9.0"))
    reason = presence.why_absent(A2000)
    assert all(word in reason for word in ("Some GPU", "9.0", "rtx-a2000", "8.6")), reason


def test_engines_for_several_gpus_fit_each_of_them(found, monkeypatch):
    monkeypatch.setattr(presence, "_cannot_serve", lambda library, gpu: "")
    several = dataclasses.replace(A2000, parameters={"compute_capability": "8.6", "engines_for": ["8.6", "8.9"]})
    found(dataclasses.replace(SEEN, compute_capability="8.9"))
    assert presence.why_absent(several) == ""


def test_what_the_driver_refuses_is_the_reason_and_is_not_asked_again(found):
    asked = found(MissingToolError("wanted an NVIDIA GPU", seen="cuInit: CUDA_ERROR_NO_DEVICE (100)"))
    for _ in range(2):
        assert presence.why_absent(A2000) == "wanted an NVIDIA GPU (cuInit: CUDA_ERROR_NO_DEVICE (100))"
    assert len(asked) == 1


def test_a_missing_library_is_the_reason(found, monkeypatch):
    monkeypatch.setattr(presence.importlib.util, "find_spec", lambda name: None)
    found(SEEN)
    assert presence.why_absent(A2000) == "the Python package tensorrt_rtx is not installed on this machine"


def test_a_driver_too_old_for_the_library_is_the_reason(found, monkeypatch):
    def refuse(gpu, library):
        raise MissingToolError(f"NVIDIA's driver is too old for {library}", seen="CUDA 12.6")

    monkeypatch.setattr(presence.importlib.util, "find_spec", lambda name: "there")
    monkeypatch.setattr(presence, "check_driver", refuse)
    found(SEEN)
    assert presence.why_absent(A2000) == "NVIDIA's driver is too old for tensorrt_rtx (CUDA 12.6)"


def test_a_driver_that_crashes_ends_the_child_alone(machine):
    code = (
        "from profiles.device import Cpu, Device\n"
        "from targets.tensorrt.presence import why_absent\n"
        "d = Device('d', 'D', (), Cpu('x86_64'), parameters={'compute_capability': '8.6', 'library': 'tensorrt'})\n"
        "print(why_absent(d))"
    )
    assert machine.python(code).stdout.strip() == ""
    crashed = machine.python(code, FAKE_CUDA_CC="none")  # the fake driver reads beyond the text and dies
    assert "signal" in crashed.stdout, crashed.stdout + crashed.stderr
