"""The CUDA driver through ctypes, against a fake driver that checks its arguments, and against NVIDIA's header."""

import contextlib
import ctypes
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from profiles.errors import EdgewrightError, MissingToolError, ToolCrashError, UnreachableError, UnsupportedError
from targets.tensorrt.gpu.cuda import Driver, can_load, load_driver
from targets.tensorrt.gpu.cuda_types import PROTOTYPES, DevicePointer, Uuid
from targets.tensorrt.gpu.memory import DeviceMemory, Tensor, Watermark, free_memory
from targets.tensorrt.gpu.streams import Graph, Stopwatch, Stream

FAKE = Path(__file__).parents[1] / "fake" / "libcuda.c"
HEADER = Path("/usr/local/cuda/include/cuda.h")
F32 = np.dtype(np.float32)


def c_type(argument):
    """Of a ctypes argument: its size in bytes, and whether it is a pointer."""
    pointer = argument in (ctypes.c_void_p, ctypes.c_char_p) or issubclass(argument, ctypes._Pointer)
    return f"{{{ctypes.sizeof(argument)}, {str(pointer).lower()}}}"


@pytest.mark.skipif(not HEADER.exists(), reason="needs cuda.h of the CUDA toolkit")
def test_every_prototype_has_the_sizes_and_the_order_of_the_header(tmp_path):
    lines = [
        "#define __CUDA_API_VERSION_INTERNAL",  # declares every revision of a function by its own name
        f'#include "{HEADER}"',
        "struct Kind { unsigned long size; bool pointer; };",
        "template <class T> struct pointer { static constexpr bool value = false; };",
        "template <class T> struct pointer<T *> { static constexpr bool value = true; };",
        "template <class T> constexpr Kind kind() { return {sizeof(T), pointer<T>::value}; }",
        "template <class... A> constexpr bool fits(CUresult (*)(A...), const Kind (&wanted)[sizeof...(A)]) {",
        "  const Kind own[] = {kind<A>()...};",
        "  for (unsigned i = 0; i < sizeof...(A); i++)",
        "    if (own[i].size != wanted[i].size || own[i].pointer != wanted[i].pointer) return false;",
        "  return true;",
        "}",
    ]
    for name, arguments in PROTOTYPES.items():
        kinds = ", ".join(map(c_type, arguments))
        lines.append(f'static_assert(fits(&{name}, {{{kinds}}}), "{name}");')
    source = tmp_path / "check.cpp"
    source.write_text("\n".join(lines))
    done = subprocess.run(["g++", "-std=c++17", "-fsyntax-only", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not HEADER.exists(), reason="needs cuda.h of the CUDA toolkit")
def test_the_fake_driver_has_the_signatures_of_the_header():
    command = ["gcc", "-fsyntax-only", "-Wno-enum-conversion", "-include", str(HEADER), str(FAKE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_driver_the_error_says_what_to_install():
    with pytest.raises(MissingToolError) as caught:
        load_driver("libcuda-of-nobody.so.1")
    assert "was not found" in caught.value.seen
    assert "nvidia-smi" in caught.value.next_step
    assert "--runtime nvidia" in caught.value.next_step, "the image was started without it: no reason to flash anything"


def test_a_library_that_is_none_is_told_apart_from_a_missing_one(tmp_path):
    broken = tmp_path / "libcuda.so.1"
    broken.write_bytes(b"no ELF")
    assert "not found" not in can_load(str(broken)), "the file is there"
    assert can_load(str(broken)) != ""


def test_a_driver_without_one_of_the_functions_is_too_old():
    class Older:
        cuInit = staticmethod(lambda flags: 0)

    with pytest.raises(MissingToolError, match="too old"):
        Driver(Older())


ERRORS = [
    (2, UnsupportedError, "too little free memory"),
    (36, MissingToolError, "too old"),
    (46, UnreachableError, "compute mode"),
    (100, MissingToolError, "NVIDIA GPU"),
    (214, ToolCrashError, "cannot be corrected"),
    (700, ToolCrashError, "must not"),
    (719, ToolCrashError, "stopped"),
    (801, UnreachableError, "not for this user"),
    (802, UnreachableError, "not ready"),
    (803, MissingToolError, "different versions"),
    (804, MissingToolError, "cuda-compat"),
    (12345, ToolCrashError, "refused a call"),
]


@pytest.mark.parametrize(("code", "kind", "words"), ERRORS)
def test_codes_become_errors_with_a_next_step(driver, monkeypatch, code, kind, words):
    monkeypatch.setenv("FAKE_CUDA_FAIL", f"cuDeviceGetCount:{code}:1")
    with pytest.raises(EdgewrightError) as caught:
        driver.get("cuDeviceGetCount", ctypes.c_int)
    assert type(caught.value) is kind, f"{code} gave {type(caught.value).__name__}"
    assert words in caught.value.wanted
    assert str(code) in caught.value.seen
    assert caught.value.next_step


@pytest.mark.parametrize("code", [100, 801, 999])
def test_what_a_jetson_says_to_a_user_outside_of_its_groups_names_the_groups(driver, monkeypatch, code):
    monkeypatch.setenv("FAKE_CUDA_FAIL", f"cuDeviceGetCount:{code}:1")
    with pytest.raises(EdgewrightError) as caught:
        driver.get("cuDeviceGetCount", ctypes.c_int)
    for word in ("/dev/nvmap", "/dev/dri/renderD128", "--group-add"):
        assert word in caught.value.next_step, f"{code} does not say {word}"


def test_the_drivers_own_words_are_in_the_error(driver):
    with pytest.raises(ToolCrashError, match="CUDA_ERROR_INVALID_VALUE"):
        driver.call("cuDeviceGetName", ctypes.create_string_buffer(1), 0, 0)


def test_calls_outside_of_a_context_are_refused(driver):
    with pytest.raises(ToolCrashError, match="CUDA_ERROR_INVALID_CONTEXT"):
        free_memory(driver)


def test_bytes_go_to_the_gpu_and_come_back(context):
    given = np.arange(12, dtype=np.float32).reshape(3, 4)
    with (
        Stream(context) as stream,
        contextlib.closing(Tensor(context, "x", (3, 4), F32)) as tensor,
    ):
        np.copyto(tensor.array, given)
        tensor.send(stream.handle)
        stream.wait()
        tensor.array[:] = -1
        tensor.fetch(stream.handle)
        assert (tensor.array == -1).all(), "a copy is only done once its stream is"
        stream.wait()
        assert np.array_equal(tensor.array, given)


def test_memory_that_does_not_fit_says_how_much_there_was(context, monkeypatch):
    monkeypatch.setenv("FAKE_CUDA_MEMORY", "1000000")
    with pytest.raises(UnsupportedError, match="2000000 bytes wanted, 1000000 of 1000000 free"):
        DeviceMemory(context, 2_000_000)


def test_a_tensor_whose_host_side_fails_leaves_nothing_on_the_gpu(context, monkeypatch):
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuMemHostAlloc:2:1")
    with pytest.raises(UnsupportedError):
        Tensor(context, "x", (3, 4), F32)


def test_the_watermark_keeps_the_highest_use(context):
    mark = Watermark(context)
    with DeviceMemory(context, 3000):
        assert mark.look() == 3000
        with DeviceMemory(context, 5000):
            assert mark.look() == 5000
    assert mark.look() == 0, "memory that came back is no use"
    assert mark.peak == 8000


def test_giving_back_twice_is_harmless(context):
    before = context.fake.fake_cuda_live()
    memory = DeviceMemory(context, 64)
    assert context.fake.fake_cuda_live() == before + 1
    memory.close()
    memory.close()
    assert context.fake.fake_cuda_live() == before


def test_the_stopwatch_counts_the_time_between_its_events(context):
    kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: time.sleep(0.01))
    launch = context.fake.cuLaunchHostFunc
    launch.argtypes = [ctypes.c_void_p, type(kernel), ctypes.c_void_p]
    with Stream(context) as stream, contextlib.closing(Stopwatch(context)) as watch:
        empty = watch.seconds(lambda: None, stream)
        worked = watch.seconds(lambda: launch(stream.handle, kernel, None), stream)
    assert 0 <= empty < 0.01 <= worked < 1, f"{empty} s for nothing, {worked} s for a kernel of 10 ms"


def test_a_graph_repeats_what_was_recorded(context):
    with (
        Stream(context) as stream,
        contextlib.closing(Tensor(context, "x", (2,), F32)) as tensor,
        Graph(context, stream, lambda: tensor.send(stream.handle)) as graph,
    ):
        for value in (1.0, 2.0):
            tensor.array[:] = value
            graph.launch(stream)
            stream.wait()
            tensor.array[:] = -1
            tensor.fetch(stream.handle)
            stream.wait()
            assert tensor.array.tolist() == [value, value], "the recorded copy runs again at every launch"


def test_work_that_waits_cannot_be_recorded(context):
    def wait():
        with contextlib.suppress(EdgewrightError):
            stream.wait()

    with Stream(context) as stream:
        with pytest.raises(UnsupportedError, match="recorded as a CUDA graph"):
            Graph(context, stream, wait)
        stream.wait()


def test_an_error_during_recording_ends_the_recording(context):
    def fail():
        raise KeyError("of ours")

    with Stream(context) as stream:
        with pytest.raises(KeyError, match="of ours"):
            Graph(context, stream, fail)
        stream.wait()


MISUSE = {
    "given back twice": "driver.functions['cuMemFree_v2'](m); driver.functions['cuMemFree_v2'](m)",
    "half of a pointer": "f = driver.functions['cuMemFree_v2']; f.argtypes = [ctypes.c_uint32]; f(m & 0xFFFFFFFF)",
    "a handle of another kind": "driver.functions['cuEventDestroy_v2'](s)",
    "a copy beyond the end": "driver.functions['cuMemcpyHtoDAsync_v2'](m, h, 101, s)",
    "memory of the host as the GPU's": "driver.functions['cuMemcpyHtoDAsync_v2'](h, h, 8, s)",
    "not given back in time": "context.__exit__(None, None, None); driver.functions['cuMemFree_v2'](m)",
}
_START = """
import ctypes
from targets.tensorrt.gpu.cuda import PrimaryContext, load_driver
from targets.tensorrt.gpu.cuda_types import *
driver = load_driver()
context = PrimaryContext(driver, 0)
context.__enter__()
m = driver.get("cuMemAlloc_v2", DevicePointer, 100)
h = driver.get("cuMemHostAlloc", HostPointer, 200, 0)
s = driver.get("cuStreamCreate", Handle, 1)
"""


@pytest.mark.parametrize("what", MISUSE)
def test_the_fake_driver_ends_a_program_that_misuses_it(machine, what):
    done = machine.python(_START + MISUSE[what])
    assert done.returncode == -6, f"{what}: the program lived on"
    assert "fake libcuda: " in done.stderr


def test_the_uuid_has_sixteen_bytes(driver):
    assert bytes(driver.get("cuDeviceGetUuid_v2", Uuid, 0).bytes) == bytes(17 * index for index in range(16))
    assert ctypes.sizeof(DevicePointer) == 8
