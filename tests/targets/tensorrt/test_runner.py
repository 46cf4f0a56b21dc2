"""The runner on a fake GPU with a fake TensorRT, in processes of their own, some through ``targets.worker``.

What this proves: the order of calls, the bytes that go in and come out, what is given back, and which error a user
reads. What only a GPU can prove: that the real driver and the real library take the same calls, and every figure.
"""

import runpy
from pathlib import Path

import numpy as np
import pytest

from profiles.device import Cpu, Device
from profiles.errors import MissingToolError, ToolCrashError, VerificationError, error_from_dict
from profiles.measurement import Kind
from profiles.profiler import Profile
from targets.golden import load_golden
from targets.tensorrt.gpu.timing import of_batch
from targets.tensorrt.target import TensorRtTarget
from targets.worker import save_stacks

tiny = runpy.run_path(str(Path(__file__).parents[1] / "tiny_onnx.py"))
QUICK = {"runs": 20, "warmup_seconds": 0.01, "max_warmup_seconds": 0.1}
#: The tiny network of ``tiny_onnx.py``: 4x8x8 to 5, in fp32.
INPUT, OUTPUT = 4 * 4 * 8 * 8, 4 * 5
WEIGHTS = 4 * (8 * 4 * 9 + 8 + 8 * 9 + 5 * 8 + 5)
CONTEXT = 1 << 20
NODES = ["first", "relu", "depthwise", "pool", "flatten", "last"]


def profiles(machine, artifact, *scenarios, **settings):
    rows = machine.play(artifact, *scenarios, **settings)
    for row in rows:
        assert "profile" in row, row.get("error")
    return [Profile.from_dict(row["profile"]) for row in rows]


@pytest.mark.parametrize("library", ["tensorrt", "tensorrt_rtx"])
def test_outputs_are_those_of_the_model(machine, make_bundle, library):
    assert machine.ask(make_bundle(library), "verify")["golden_error"] == 0.0


def test_from_the_model_to_a_profile_where_the_device_compiles(machine, network, sealed, tmp_path):
    """What the backend writes for a Jetson is compiled, checked and measured there, in two batch sizes."""
    parameters = {"compute_capability": "8.7", "library": "tensorrt", "batches": [1, 2]}
    device = Device("orin", "Orin", ("tensorrt",), Cpu("aarch64"), parameters=parameters)
    folder = tmp_path / "bundle"
    folder.mkdir()
    compiled = TensorRtTarget().compile(network, device, folder)
    artifact = sealed(folder, compiled, network, device.as_dict())
    assert machine.ask(artifact, "verify", env={"FAKE_CUDA_CC": "8.7"})["golden_error"] == 0.0
    (profile,) = profiles(machine, artifact, FAKE_CUDA_CC="8.7")
    assert profile.facts["engine origin"] == "compiled here, kept", "verifying compiled it"
    assert [point.batch for point in profile.batches] == [1, 2]


@pytest.fixture
def network(tmp_path_factory):
    return tiny["net"](tmp_path_factory.mktemp("network") / "net.onnx")


def test_every_sample_reaches_the_gpu_and_its_outputs_come_back(machine, make_bundle, tmp_path):
    artifact = make_bundle()
    golden = load_golden(artifact.folder / "golden.npz")
    order = [2, 0, 1, 0]
    save_stacks(tmp_path / "in.npz", {name: stack[order] for name, stack in golden.inputs.items()})
    machine.ask(artifact, "run", inputs=str(tmp_path / "in.npz"), outputs=str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as archive:
        seen = archive["y"]
    assert np.array_equal(seen, golden.outputs["y"][order])
    assert len(np.unique(seen[:3])) == seen[:3].size, "the samples must differ for this to prove anything"


@pytest.fixture
def measured(machine, make_bundle):
    """A profile as users get it, of an engine whose one kernel takes two milliseconds, in two batch sizes."""
    artifact = make_bundle("tensorrt_rtx", batches=(1, 4))
    answer = machine.ask(artifact, "profile", settings=QUICK, env={"FAKE_TRT_KERNEL_US": "2000"})
    return Profile.from_dict(answer["profile"])


def test_every_clock_shows_the_kernels_time(measured):
    names = ("latency_p50", "latency_events_p50", "latency_transfers_p50", "latency_graph_p50")
    for name in names:
        metric = measured.metrics[name]
        assert metric.kind is Kind.MEASURED, f"{name}: {metric.reason}"
        assert 0.002 <= metric.value < 0.5, f"{name} is {metric.value} s with a kernel of 2 ms"
        assert len(metric.samples) >= 20, f"{name} keeps its raw samples"
    assert len({measured.metrics[name].method for name in names}) == 4, "every clock says how it counts"
    assert "CUDA events" in measured.metrics["latency_events_p50"].method
    assert [point.batch for point in measured.batches] == [1, 4]
    for point in measured.batches:
        assert point.metrics["latency_p50"].value >= 0.002
        assert point.metrics["throughput"].value <= point.batch / 0.002


def test_throughput_counts_samples_and_latency_whole_batches():
    figures = of_batch(4, (0.1, 0.2, 0.6))
    assert figures["latency_p50"].value == pytest.approx(0.2)
    assert figures["throughput"].value == pytest.approx(4 * 3 / 0.9)


def test_what_is_timed_copies_nothing(machine, make_bundle):
    machine.play(make_bundle())
    calls = machine.calls()
    # run: one each way; bind: one; with_transfers: warm-up and three runs each way
    assert calls["cuMemcpyHtoDAsync_v2"] - calls["cuMemcpyDtoHAsync_v2"] == 1, "bind copies the inputs, once"
    assert calls["cuLaunchHostFunc"] > 2 * calls["cuMemcpyDtoHAsync_v2"], "most inferences copy nothing"


@pytest.mark.parametrize("library", ["tensorrt", "tensorrt_rtx"])
def test_memory_layers_and_precisions(machine, make_bundle, library):
    artifact = make_bundle(library)
    profile, without = profiles(machine, artifact, {}, {"FAKE_TRT": "no_times"})
    assert profile.metrics["engine_memory"].value == WEIGHTS
    assert profile.metrics["context_memory"].value == CONTEXT
    assert profile.metrics["gpu_memory"].value == WEIGHTS + CONTEXT + INPUT + OUTPUT
    assert [row.name for row in profile.layers] == NODES
    times = [row.metrics["latency_p50"].value for row in profile.layers]
    assert times == pytest.approx([0.0005 * place for place in range(1, 7)]), "the profiler's milliseconds in seconds"
    assert profile.executed == {"fp32": 3}, "two convolutions and a linear layer compute"
    assert [row.name for row in without.layers] == NODES
    assert {row.metrics["latency_p50"].kind for row in without.layers} == {Kind.UNAVAILABLE}


def test_work_that_cannot_be_recorded_has_a_reason_or_another_way(machine, make_bundle):
    (plain,) = profiles(machine, make_bundle("tensorrt"), FAKE_TRT="not_capturable")
    assert plain.metrics["latency_graph_p50"].kind is Kind.UNAVAILABLE
    assert "cannot be recorded" in plain.metrics["latency_graph_p50"].reason
    (rtx,) = profiles(machine, make_bundle("tensorrt_rtx"), FAKE_TRT="not_capturable")
    assert rtx.metrics["latency_graph_p50"].kind is Kind.MEASURED
    assert "TensorRT-RTX's own" in rtx.metrics["latency_graph_p50"].method


def test_a_batch_that_does_not_fit_is_missing_and_the_others_are_there(machine, make_bundle):
    enough_for_one = str(WEIGHTS + CONTEXT + INPUT + OUTPUT + 100)
    (profile,) = profiles(machine, make_bundle("tensorrt_rtx", batches=(1, 4)), FAKE_CUDA_MEMORY=enough_for_one)
    one, four = profile.batches
    assert one.metrics["throughput"].kind is Kind.MEASURED
    assert four.metrics["throughput"].kind is Kind.UNAVAILABLE
    assert "memory is full" in four.metrics["throughput"].reason


def test_facts_name_the_gpu_and_where_the_engine_came_from(machine, make_bundle):
    first, again = profiles(machine, make_bundle("tensorrt"), {}, {}, FAKE_CUDA_NAME="NVIDIA RTX A2000")
    assert first.facts["engine origin"] == "compiled here, now"
    assert "compiler" in first.facts["peak memory"]
    named = ("gpu", "compute capability", "cuda", "engine", "tf32")
    assert [first.facts[key] for key in named] == ["NVIDIA RTX A2000", "8.6", "13.0", "tensorrt 10.3.0.26", "off"]
    assert again.facts["engine origin"] == "compiled here, kept"
    assert "peak memory" not in again.facts


def test_an_engine_for_another_version_or_gpu_is_compiled_anew(machine, make_bundle):
    artifact = make_bundle("tensorrt_rtx")
    shipped, other_gpu = profiles(machine, artifact, {}, {"FAKE_CUDA_CC": "8.9"})
    assert shipped.facts["engine origin"] == "compiled ahead of time"
    assert (other_gpu.facts["engine origin"], other_gpu.facts["compute capability"]) == ("compiled here, now", "8.9")
    (newer,) = profiles(machine, artifact, FAKE_TRT_VERSION="1.8.0.1")
    assert (newer.facts["engine origin"], newer.facts["engine"]) == ("compiled here, now", "tensorrt_rtx 1.8.0.1")


REFUSED = {
    "no GPU": ({"FAKE_CUDA_FAIL": "cuDeviceGetCount:100:1"}, "MissingToolError", "wanted an NVIDIA GPU"),
    "out of memory": ({"FAKE_CUDA_MEMORY": "1000"}, "UnsupportedError", "memory is full"),
    "no room for activations": ({"FAKE_CUDA_MEMORY": "500000"}, "UnsupportedError", "memory is full"),
    "no room for buffers": ({"FAKE_CUDA_MEMORY": str(WEIGHTS + 9)}, "UnsupportedError", "1024 bytes wanted"),
    "a kernel's fault": ({"FAKE_CUDA_FAIL": "cuStreamSynchronize:700:1"}, "ToolCrashError", "must not"),
    "an enqueue that fails": ({"FAKE_TRT": "false_enqueue"}, "ToolCrashError", "a failed enqueue"),
    "broken memory": ({"FAKE_CUDA_FAIL": "cuMemHostAlloc:214:1"}, "ToolCrashError", "cannot be corrected"),
}


def test_what_the_machine_refuses_is_an_error_with_a_next_step(machine, make_bundle):
    rows = machine.play(make_bundle("tensorrt_rtx"), *(scenario for scenario, *_ in REFUSED.values()))
    for (what, (_, kind, words)), row in zip(REFUSED.items(), rows, strict=True):
        error = row.get("error")
        assert error, f"{what}: no error"
        assert error["type"] == kind, f"{what}: {error}"
        assert words in str(error_from_dict(error)), f"{what}: {error}"
        assert error["next_step"], f"{what} does not say what to do"


def test_a_missing_driver_is_said_before_anything_is_loaded(machine, make_bundle, tmp_path):
    with pytest.raises(MissingToolError, match=r"libcuda\.so\.1 was not found"):
        machine.ask(make_bundle(), "verify", env={"LD_LIBRARY_PATH": str(tmp_path)})


def test_a_driver_of_another_version_than_its_module_is_refused(machine, make_bundle):
    with pytest.raises(MissingToolError, match="different versions") as caught:
        machine.ask(make_bundle(), "verify", env={"FAKE_CUDA_FAIL": "cuInit:803:1"})
    assert "restart" in caught.value.next_step


def damaged(position):
    def change(folder):
        content = bytearray((folder / "batch1.engine").read_bytes())
        content[position] ^= 0xFF
        (folder / "batch1.engine").write_bytes(content)

    return change


def cut(folder):
    (folder / "batch1.engine").write_bytes((folder / "batch1.engine").read_bytes()[:-100])


@pytest.mark.parametrize("change", [damaged(0), cut], ids=["another magic", "cut off"])
def test_a_corrupt_engine_is_refused(machine, make_bundle, change):
    with pytest.raises(VerificationError, match="damaged") as caught:
        machine.ask(make_bundle("tensorrt_rtx", change=change), "verify")
    assert "build" in caught.value.next_step
    assert machine.leaked() == []


def test_an_engine_that_changed_on_the_way_is_found_by_its_hash(machine, make_bundle):
    artifact = make_bundle("tensorrt_rtx")
    damaged(-1)(artifact.folder)
    with pytest.raises(VerificationError, match=r"batch1\.engine differs from its manifest"):
        machine.ask(artifact, "verify")


def test_an_engine_that_kills_its_process_is_an_error_and_no_crash_of_ours(machine, make_bundle):
    with pytest.raises(ToolCrashError, match="asked to verify a bundle, ended without a result") as caught:
        machine.ask(make_bundle("tensorrt_rtx", change=damaged(-40)), "verify")
    assert "SIGABRT" in caught.value.seen
    assert "--debug" in caught.value.next_step


FUNCTIONS = {
    "cuDevicePrimaryCtxRetain": 1, "cuCtxSetCurrent": 1, "cuMemGetInfo_v2": 3, "cuStreamCreate": 2, "cuMemAlloc_v2": 5,
    "cuMemHostAlloc": 3, "cuMemcpyHtoDAsync_v2": 3, "cuMemcpyDtoHAsync_v2": 2, "cuStreamSynchronize": 6,
    "cuEventCreate": 2, "cuEventRecord": 3, "cuEventSynchronize": 2, "cuEventElapsedTime": 2,
}  # fmt: skip
#: Only the graph's figure is lost when one of these fails.
GRAPHS = ("cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch")


def test_whatever_call_fails_nothing_stays_on_the_gpu(machine, make_bundle):
    calls = [f"{name}:719:{nth}" for name, most in FUNCTIONS.items() for nth in range(1, most + 1)]
    graphs = [f"{name}:719:1" for name in GRAPHS]
    scenarios = [{"FAKE_CUDA_FAIL": spec} for spec in (*calls, *graphs)]
    rows = machine.play(make_bundle("tensorrt_rtx", batches=(1, 4)), *scenarios)
    for spec, row in zip((*calls, *graphs), rows, strict=True):
        said = row.get("error", {}).get("type", "nothing")
        wanted = ("nothing",) if spec in graphs else ("ToolCrashError", "UnsupportedError")
        assert said in wanted, f"{spec} gave {said}"
        if spec in graphs:
            metric = Profile.from_dict(row["profile"]).metrics["latency_graph_p50"]
            assert metric.kind is Kind.UNAVAILABLE, f"{spec}: {metric}"
