"""What is found out about the GPU, asked of a fake driver in a process of its own."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import MissingToolError
from targets.execute import converse, python_argv
from targets.tensorrt.gpu.gpu import Gpu, check_driver, cuda_of, cuda_version, driver_version

ORIN = Gpu("Orin", "8.7", "540.4.0", "12.6", 8 << 30)


def found(machine, **settings):
    return Gpu(**converse(python_argv("targets.tensorrt.gpu.gpu"), env=machine.env(**settings))["gpu"])


def test_the_gpu_is_as_the_driver_describes_it(machine):
    seen = found(
        machine, FAKE_CUDA_NAME="NVIDIA RTX A2000", FAKE_CUDA_CC="12.1", FAKE_CUDA_DRIVER="12060",
        FAKE_CUDA_MEMORY="6442450944", FAKE_CUDA_INTEGRATED="1",
    )  # fmt: skip
    assert (seen.name, seen.compute_capability, seen.cuda) == ("NVIDIA RTX A2000", "12.1", "12.6")
    assert (seen.memory, seen.integrated, seen.ordinal) == (6442450944, True, 0)
    assert seen.multiprocessors == 26
    assert seen.uuid == "00112233-4455-6677-8899-aabbccddeeff"


def test_plain_data_makes_the_same_gpu():
    assert Gpu(**json.loads(json.dumps(ORIN.as_dict()))) == ORIN


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"FAKE_CUDA_GPUS": "0"}, "CUDA_ERROR_NO_DEVICE"),
        ({"FAKE_CUDA_FAIL": "cuInit:803:1"}, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
    ],
)
def test_a_driver_without_a_usable_gpu_says_so(machine, settings, words):
    with pytest.raises(MissingToolError) as caught:
        found(machine, **settings)
    assert words in caught.value.seen
    assert caught.value.next_step


@given(major=st.integers(1, 99), minor=st.integers(0, 9))
def test_cuda_counts_its_versions_in_thousands_and_tens(major, minor):
    assert cuda_version(1000 * major + 10 * minor) == f"{major}.{minor}"


def test_the_drivers_version_is_that_of_the_kernel_module(tmp_path):
    (tmp_path / "version").write_text("580.65.06\n")
    assert driver_version(str(tmp_path / "version")) == "580.65.06"
    assert driver_version(str(tmp_path / "none")) == ""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A Python package with a distribution beside it, whose name may tell its CUDA version."""

    def made(distribution):
        (tmp_path / "somert").mkdir()
        (tmp_path / "somert" / "__init__.py").touch()
        (tmp_path / distribution).mkdir()
        monkeypatch.syspath_prepend(str(tmp_path))

    return made


def test_the_name_of_a_distribution_tells_its_cuda_version(package):
    package("somert_cu13-1.7.1.116.dist-info")
    assert cuda_of("somert") == 13
    with pytest.raises(MissingToolError, match=r"CUDA 12\.6") as caught:
        check_driver(ORIN, "somert")
    assert caught.value.allowed == "a driver for CUDA 13 or newer"


@pytest.mark.parametrize("distribution", ["somert_cu12-10.3.0.dist-info", "somert-10.3.0.dist-info"])
def test_a_driver_that_is_new_enough_or_cannot_be_judged_passes(package, distribution):
    package(distribution)
    check_driver(ORIN, "somert")


def test_a_missing_package_is_not_judged():
    assert cuda_of("a_package_of_nobody") is None


def test_the_runner_imports_nothing_that_a_device_lacks(machine):
    done = machine.python(
        "import sys; sys.modules['onnx'] = sys.modules['onnxruntime'] = sys.modules['pydantic'] = None\n"
        "from targets.tensorrt import runner\n"
        "print(runner.open_runner.__module__)"
    )
    assert done.stdout.strip() == "targets.tensorrt.runner", done.stderr
