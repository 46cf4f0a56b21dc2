"""From an ONNX file to outputs, here and under QEMU, against ONNX's own reference implementation."""

import json

import numpy as np
import pytest
from builds import build, outputs_of
from tvm_networks import close, expected, random_values

from profiles.measurement import Kind
from targets.tvm_cpu.runner import PROGRAM


@pytest.mark.usefixtures("compiled_here")
@pytest.mark.parametrize("arch", ["aarch64", "armv7l", "riscv64"])
def test_other_architectures_compute_the_same_under_qemu(arch, tmp_path, toolchain_of):
    toolchain_of(arch)
    model, device, out, compiled = build(arch, tmp_path)
    seen, counters = outputs_of(model, device, out, compiled)
    for seed, one in zip((1, 2), seen, strict=True):
        close(one, expected(model, {"image": random_values((1, 3, 12, 12), seed)}))
    assert counters.metrics["latency_p50"].kind is Kind.UNAVAILABLE
    assert "qemu" in counters.metrics["latency_p50"].reason
    assert counters.executed == {"fp32": 3}
    assert compiled.unreproducible == {}
    (out / PROGRAM).chmod(0o444)
    again, _ = outputs_of(model, device, out, compiled)
    assert all(np.array_equal(again[0][name], seen[0][name]) for name in seen[0]), "the permission got lost on the way"


@pytest.mark.usefixtures("compiled_here")
def test_this_machine_runs_the_library_and_times_every_kernel(tmp_path, toolchain_of):
    model, device, out, compiled = build("x86_64", tmp_path)
    seen, counters = outputs_of(model, device, out, compiled)
    for seed, one in zip((1, 2), seen, strict=True):
        close(one, expected(model, {"image": random_values((1, 3, 12, 12), seed)}))
    steps = json.loads((out / "plan.json").read_text())["steps"]
    assert [layer.name for layer in counters.layers] == [step["name"] for step in steps]
    assert all(layer.metrics["latency_p50"].kind is Kind.MEASURED for layer in counters.layers)
    assert "(" not in counters.facts["engine"]


@pytest.mark.usefixtures("compiled_here")
def test_without_tuning_equal_models_give_equal_bytes(tmp_path, toolchain_of):
    toolchain_of("aarch64")
    (tmp_path / "a").mkdir()
    (tmp_path / "a longer name").mkdir()
    first, second = build("aarch64", tmp_path / "a"), build("aarch64", tmp_path / "a longer name")
    for path in sorted(first[2].iterdir()):
        assert path.read_bytes() == (second[2] / path.name).read_bytes(), f"{path.name} differs"
