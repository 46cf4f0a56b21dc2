"""Engines that a library refuses: by the real TensorRT-RTX where it is installed, else by its documented answers."""

import enum

import pytest

from profiles.errors import MissingToolError, ToolCrashError, UnsupportedError, VerificationError
from targets.tensorrt.compiler.messages import ERROR, Message, make_log
from targets.tensorrt.gpu.cuda import can_load
from targets.tensorrt.gpu.loading import deserialize
from targets.tensorrt.plan import BuildPlan


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A real engine of the tiny network, compiled without a GPU."""
    pytest.importorskip("tensorrt_rtx")
    import runpy
    from pathlib import Path

    from targets.tensorrt.compiler.builder import build_engine

    folder = tmp_path_factory.mktemp("engine")
    tiny = runpy.run_path(str(Path(__file__).parents[2] / "tiny_onnx.py"))
    model = tiny["net"](folder / "net.onnx")
    plan = BuildPlan("tensorrt_rtx", "fp32", ("8.6",))
    return build_engine(model.onnx.read_bytes(), plan, 1).engine


def loaded(content, path):
    import tensorrt_rtx

    path.write_bytes(content)
    return deserialize(tensorrt_rtx, path, make_log(tensorrt_rtx))


DAMAGE = {
    "of another kind": lambda engine: b"x" * len(engine),
    "without its header": lambda engine: bytes(64) + engine[64:],
    "shorter than a header": lambda engine: engine[:40],
    "empty": lambda engine: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_real_library_refuses_a_file_and_the_error_says_what_it_is(engine, tmp_path, damage):
    with pytest.raises(VerificationError) as caught:
        loaded(DAMAGE[damage](engine), tmp_path / "batch1.engine")
    assert "batch1.engine" in caught.value.wanted
    assert "build or copy the bundle again" in caught.value.next_step


def test_the_real_library_wants_a_driver(engine, tmp_path):
    if not can_load():
        pytest.skip("this machine has a driver")
    with pytest.raises(MissingToolError) as caught:
        loaded(engine, tmp_path / "batch1.engine")
    assert "driver" in caught.value.seen
    assert "nvidia-smi" in caught.value.next_step


_OPEN = """
import sys
from pathlib import Path
from profiles.errors import EdgewrightError
from targets.artifact import load_artifact
from targets.tensorrt.runner import open_runner
artifact = load_artifact(Path(sys.argv[1]))
try:
    with open_runner(artifact.folder, artifact.compiled, {}):
        print("it runs")
except EdgewrightError as error:
    print(type(error).__name__, error)
"""


def test_the_real_library_on_a_driver_that_it_cannot_use_ends_in_words(engine, machine, make_bundle):
    """The fake driver stands for one that is too old, and for one that is broken; nothing crashes."""
    artifact = make_bundle("tensorrt_rtx", change=lambda folder: (folder / "batch1.engine").write_bytes(engine))
    too_old = machine.python(_OPEN, artifact.folder, PYTHONPATH="", FAKE_CUDA_DRIVER="11080")
    assert "MissingToolError NVIDIA's driver is too old for tensorrt_rtx" in too_old.stdout, too_old.stderr
    assert "CUDA 11.8" in too_old.stdout
    broken = machine.python(_OPEN, artifact.folder, PYTHONPATH="")
    assert broken.returncode == 0, broken.stderr
    assert "Error wanted " in broken.stdout, broken.stdout
    assert "TensorRT-RTX" in broken.stdout, broken.stdout
    assert machine.leaked() == []


def test_a_missing_file_is_no_engine(tmp_path):
    with pytest.raises(VerificationError, match="No such file"):
        deserialize(library(0), tmp_path / "none.engine", Log())


class Log:
    def __init__(self):
        self.messages = []


def library(bits, *, says="", engine=None):
    """A library that finds fault with an engine's header, or with the engine."""

    class Runtime:
        engine_header_size = 64
        DLA_core = None

        def __init__(self, log):
            self.log = log

        def get_engine_validity(self, buffer):
            assert len(buffer) == 64, "the header is what is judged"
            verdict = Module.EngineValidity.INVALID if bits else Module.EngineValidity.VALID
            return verdict, bits

        def deserialize_cuda_engine(self, serialized_engine):
            self.log.messages.append(Message(ERROR, says))
            return engine

    class Module:
        __version__ = "1.7.1.116"
        EngineValidity = enum.IntEnum("EngineValidity", "VALID SUBOPTIMAL INVALID", start=0)

    Module.__name__, Module.Runtime = "tensorrt_rtx", Runtime
    return Module


@pytest.mark.parametrize(
    ("bits", "kind", "words"),
    [
        (1, VerificationError, "another version"),
        (2, VerificationError, "another compute capability"),
        (4, MissingToolError, "driver is older"),
        (8, MissingToolError, "CUDA runtime is older"),
        (16, UnsupportedError, "too little memory"),
        (32, VerificationError, "damaged"),
        (64, ToolCrashError, "CUDA failed"),
        (1 + 32, VerificationError, "another version"),
    ],
)
def test_every_bit_of_the_diagnosis_has_its_error(tmp_path, bits, kind, words):
    (tmp_path / "batch1.engine").write_bytes(bytes(100))
    with pytest.raises(kind, match=words) as caught:
        deserialize(library(bits), tmp_path / "batch1.engine", Log())
    assert caught.value.next_step


def test_the_bits_are_those_of_the_real_library():
    trt = pytest.importorskip("tensorrt_rtx")
    assert {name: int(member) for name, member in trt.EngineInvalidityDiagnostics.__members__.items()} == {
        "VERSION_MISMATCH": 1, "UNSUPPORTED_CC": 2, "OLD_CUDA_DRIVER": 4, "OLD_CUDA_RUNTIME": 8,
        "INSUFFICIENT_GPU_MEMORY": 16, "MALFORMED_ENGINE": 32, "CUDA_ERROR": 64,
    }  # fmt: skip


def test_what_the_library_logs_is_the_reason(tmp_path):
    (tmp_path / "batch1.engine").write_bytes(bytes(100))
    with pytest.raises(UnsupportedError, match="memory is full"):
        deserialize(library(0, says="Error Code 1: Cuda Runtime (out of memory)"), tmp_path / "batch1.engine", Log())


def test_an_engine_for_an_accelerator_is_loaded_there(tmp_path):
    (tmp_path / "batch1.engine").write_bytes(bytes(100))
    runtime, engine = deserialize(library(0, engine="it"), tmp_path / "batch1.engine", Log(), dla_core=1)
    assert (runtime.DLA_core, engine) == (1, "it")
