"""The C++ around the kernels, with kernels of the tests' own: values, scratch memory, errors, the conversation."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tvm_networks import device_of

from profiles.errors import ToolCrashError
from targets.base import Compiled, TensorSpec
from targets.tvm_cpu import link
from targets.tvm_cpu.emit import INCLUDE, plan_source
from targets.tvm_cpu.machine import machine_of
from targets.tvm_cpu.memory import place
from targets.tvm_cpu.program import Program, Step, Value
from targets.tvm_cpu.runner import LibraryRunner

SIZE = 5
#: x, constant, sum, one value of the sum; the second output is a view of the first.
PROGRAM = place(
    Program(
        values=(
            Value((SIZE,), "float32", False),
            Value((SIZE,), "float32", True, 0),
            Value((SIZE,), "float32", False),
            Value((1,), "float32", False),
            Value((1, SIZE), "float32", False),
        ),
        steps=(Step("000_add", "add", (0, 1, 2), 1), Step("001_check", "check", (2, 3), 1)),
        inputs=(0,),
        outputs=(2, 3, 4),
        storage=(0, 1, 2, 3, 2),
    )
)
COMPILED = Compiled(
    ("libmodel.so",),
    (TensorSpec("x", (SIZE,)),),
    (TensorSpec("sum", (SIZE,)), TensorSpec("first", (1,)), TensorSpec("view", (1, SIZE))),
    {
        "arena": PROGRAM.arena, "tvm": "none", "compiler": "g++", "emulator": "qemu-x86_64",
        "steps": [{"name": step.name, "computes": False} for step in PROGRAM.steps],
    },
)  # fmt: skip
CONSTANT = np.arange(SIZE, dtype=np.float32)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if shutil.which("x86_64-linux-gnu-g++") is None:
        assert not os.environ.get("CI"), "needs x86_64-linux-gnu-g++"
        pytest.skip("needs x86_64-linux-gnu-g++; run: sudo apt-get install g++")
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    (work / "plan.cpp").write_text(plan_source("stub", PROGRAM))
    (work / "constants.bin").write_bytes(CONSTANT.tobytes())
    stub = Path(__file__).with_name("stub_kernels.cpp")
    argv = ["x86_64-linux-gnu-g++", "-fPIC", f"-I{INCLUDE}", "-c", str(stub), "-o", str(work / "kernels.o")]
    subprocess.run(argv, check=True)
    link.link(machine_of(device_of("x86_64")), work, out)
    return out


def test_kernels_get_their_values_scratch_memory_and_one_task(built):
    x = np.array([1, 2, 3, 4, 5], np.float32)
    with LibraryRunner(built, COMPILED) as runner:
        outputs = runner.run({"x": x})
    np.testing.assert_array_equal(outputs["sum"], 2 * (x + CONSTANT))
    np.testing.assert_array_equal(outputs["view"], outputs["sum"][None])
    assert outputs["first"][0] == 2.0


def test_bound_inputs_stay_and_scratch_memory_does_not_grow(built):
    with LibraryRunner(built, COMPILED) as runner:
        call = runner.bind({"x": np.ones(SIZE, np.float32)})
        call()
        library = runner._library
        library.ew_tvm_workspace_bytes.restype = np.ctypeslib.ctypes.c_int64
        held = library.ew_tvm_workspace_bytes()
        for _ in range(100):
            call()
        assert library.ew_tvm_workspace_bytes() == held == 64
        np.testing.assert_array_equal(runner._output(0), 2 * (1 + CONSTANT))


def test_an_index_that_does_not_exist_gives_nothing(built):
    with LibraryRunner(built, COMPILED) as runner:
        for index in (-1, 3, 1000):
            assert runner._library.ew_tvm_output(index) is None
            assert runner._library.ew_tvm_output_bytes(index) == 0


def test_a_kernel_that_fails_is_named_with_its_words(built):
    with LibraryRunner(built, COMPILED) as runner, pytest.raises(ToolCrashError) as caught:
        runner.run({"x": np.full(SIZE, -1, np.float32)})
    assert caught.value.seen == "step 001_check: ValueError: first value is negative"


def test_the_program_answers_again_and_again_also_after_an_error(built):
    good, bad = np.ones(SIZE, np.float32), np.full(SIZE, -9, np.float32)
    said = b"".join(b"r" + x.tobytes() for x in (good, bad, good))
    answer = subprocess.run([built / "model"], input=said, capture_output=True, check=True).stdout
    numbers = np.concatenate([2 * (good + CONSTANT), [2.0], 2 * (good + CONSTANT)]).astype(np.float32).tobytes()
    refused = b"1step 001_check: ValueError: first value is negative\n"
    assert answer == b"EWTVM 1 20 44\n" + b"0" + numbers + refused + b"0" + numbers


@pytest.mark.parametrize("said", [b"x", b"r123", b"r" + bytes(21)])
def test_a_conversation_out_of_step_ends_the_program(built, said):
    done = subprocess.run([built / "model"], input=said, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"out of step" in done.stderr


def test_the_program_tells_the_time_of_each_step(built):
    lines = subprocess.run([built / "model", "--time", "3"], capture_output=True, check=True, text=True).stdout.split(
        "\n"
    )
    assert [line.split()[-1] for line in lines if line] == ["000_add", "001_check", "total"]
    assert subprocess.run([built / "model", "--time"], capture_output=True, check=False).returncode == 2


def test_a_library_that_is_none_is_refused(tmp_path):
    (tmp_path / "libmodel.so").write_bytes(b"no library")
    with pytest.raises(ToolCrashError, match="wanted to load"), LibraryRunner(tmp_path, COMPILED):
        pass
