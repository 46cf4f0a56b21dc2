"""The runner: bits, settings that are put back, and what it tells of layers, threads and modes."""

import numpy as np
import pytest
import torch
from torch import nn

from profiles.errors import MissingToolError, ModelError
from profiles.measurement import Kind, Metric
from profiles.sampling import Settings
from profiles.sampling import sample as sample_times
from targets.pytorch import runner as runner_module
from targets.pytorch.emulate import open_runner as open_emulator
from targets.pytorch.place import CUDA
from targets.pytorch.runner import open_runner
from targets.runtime import runtime_modules


def opened(bundle, *arguments, **more):
    folder, compiled, device = bundle(*arguments, **more)
    return open_runner(folder, compiled, device.as_dict())


def test_outputs_are_the_module_s_to_the_bit(bundle, net, sample, outputs_of):
    with opened(bundle) as runner:
        assert runner.timed
        first, second = runner.run(sample), runner.run(sample)
    assert list(first) == ["output_0", "output_1", "output_2"]
    for name, wanted in zip(first, outputs_of(net, sample), strict=True):
        assert first[name].dtype == wanted.dtype and np.array_equal(first[name], wanted)
        assert first[name] is not second[name] and np.array_equal(first[name], second[name])


def test_what_is_bound_runs_again_and_again(bundle, net, sample, outputs_of):
    with opened(bundle) as runner:
        call = runner.bind(sample)
        results = [call(), call()]
    for outputs in results:
        assert np.array_equal(outputs[0].numpy(), outputs_of(net, sample)[0])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_layers_have_names_times_and_the_precision_that_ran(bundle, sample, precision):
    with opened(bundle, precision) as runner:
        runner.bind(sample)()
        counters = runner.counters()
    assert counters.executed == {precision: 3}, "two convolutions and one linear layer"
    rows = {row.name: row for row in counters.layers}
    assert {"stem/conv2d", "norm/batch_norm", "blocks.0/conv2d", "fc/linear"} <= set(rows)
    assert rows["stem/conv2d"].precision == precision and rows["stem/conv2d"].op == "conv2d"
    for row in counters.layers:
        metric = row.metrics["latency_p50"]
        assert metric.kind is Kind.MEASURED and metric.value > 0 and "median of 10 runs" in metric.method
    assert "latency_compiled_p50" not in counters.metrics, "nobody asked for it"
    assert counters.facts == {"engine": f"torch {torch.__version__}", "mode": "eager", "threads": "1"}


def test_layers_add_up_to_the_whole(exported_to, bundle):
    """Operators large enough for Python not to count: about 1 ms in three convolutions."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 16, 3)]
    given = {"x": np.zeros((1, 16, 32, 32), np.float32)}
    with opened(bundle, of=exported_to(nn.Sequential(*layers).eval(), given)) as runner:
        times = sample_times(runner.bind(given), Settings(min_runs=20, seconds=0.1))
        counters = runner.counters()
    whole = sorted(times.wall)[len(times.wall) // 2]
    parts = {row.name: row.metrics["latency_p50"].value for row in counters.layers}
    assert 0.3 * whole < sum(parts.values()) < 2.5 * whole, f"{parts} against {whole}"
    assert parts["2/conv2d"] > parts["1/relu"], "a convolution takes longer than a ReLU"


def test_without_an_inference_there_are_no_layers(bundle):
    with opened(bundle) as runner:
        counters = runner.counters()
    assert counters.layers == () and counters.executed == {} and counters.facts["engine"].startswith("torch ")


def test_settings_are_put_back(bundle, processor, sample):
    torch.set_num_threads(2)
    torch.backends.cudnn.allow_tf32 = True
    with opened(bundle, device=processor(threads=1)) as runner:
        assert torch.get_num_threads() == 1 and torch.is_inference_mode_enabled()
        assert not torch.backends.cudnn.allow_tf32, "fp32 means fp32"
        runner.run(sample)
    assert torch.get_num_threads() == 2 and not torch.is_inference_mode_enabled()
    assert torch.backends.cudnn.allow_tf32


def test_settings_are_put_back_when_the_file_is_damaged(bundle):
    folder, compiled, device = bundle()
    (folder / "model.pt2").write_bytes(b"no program")
    torch.set_num_threads(2)
    with pytest.raises(ModelError), open_runner(folder, compiled, device.as_dict()):
        pass
    assert torch.get_num_threads() == 2 and not torch.is_inference_mode_enabled()


def test_compiling_is_done_only_when_asked_for(bundle, processor, sample, monkeypatch):
    asked = []

    def compiled(module, tensors, finish, *, dtype):
        asked.append(dtype)
        finish()
        return Metric(1e-3, "s", Kind.MEASURED, "fake")

    monkeypatch.setattr(runner_module, "compiled_latency", compiled)
    with opened(bundle, "bf16", device=processor(torch_compile=True)) as runner:
        runner.bind(sample)
        assert runner.counters().metrics["latency_compiled_p50"].method == "fake"
    assert asked == [torch.bfloat16]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test says is missing")
def test_a_gpu_s_baseline_never_runs_on_the_processor(bundle, gpu):
    with pytest.raises(MissingToolError, match="needs an NVIDIA GPU") as caught, opened(bundle, device=gpu):
        pass
    assert "CUDA" in caught.value.seen or "GPU" in caught.value.seen
    assert "--via" in caught.value.next_step


def test_its_emulator_computes_the_same_and_has_no_time(bundle, gpu, net, sample, outputs_of):
    folder, compiled, device = bundle(device=gpu)
    with open_emulator(folder, compiled, device.as_dict()) as emulator:
        assert not emulator.timed
        outputs = emulator.run(sample)
        emulator.bind(sample)()
        counters = emulator.counters()
    assert np.array_equal(outputs["output_0"], outputs_of(net, sample)[0])
    assert counters.layers == () and counters.metrics == {}
    assert "in place of the GPU" in counters.facts["mode"]


def test_on_cuda_the_caller_waits_for_the_gpu(bundle, gpu, monkeypatch):
    """Built, not run on a GPU: that the call is followed by a synchronization is all that can be seen here."""
    folder, compiled, device = bundle(device=gpu)
    runner = open_runner(folder, compiled, device.as_dict())
    assert runner._place == CUDA
    done = []
    monkeypatch.setattr(runner, "_tensors", lambda inputs: [])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: done.append("waited"))
    runner._module = type("Program", (), {"forward": lambda self: done.append("ran")})()
    runner.bind({})()
    assert done == ["ran", "waited"]


def test_what_travels_to_a_device_is_what_runs():
    travels = {name.rpartition(".")[2] for name in runtime_modules("pytorch") if name.startswith("targets.pytorch.")}
    assert travels == {"runner", "program", "layers", "compiled", "on_cuda", "place", "trust"}
