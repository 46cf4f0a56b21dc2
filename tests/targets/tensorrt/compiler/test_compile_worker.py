"""Questions to the compiler's process: how often they are asked."""

import dataclasses

import pytest

from targets.tensorrt.compiler import compile_worker
from targets.tensorrt.plan import BuildPlan

PLAN = BuildPlan("tensorrt_rtx", "fp32", ("8.6",))


@pytest.fixture
def asked(monkeypatch):
    """How often a process was started."""
    seen = []

    def answer(request, plan):
        seen.append(request)
        return {"version": "1", "faults": [], "warnings": []}

    monkeypatch.setattr(compile_worker, "_ask", answer)
    return seen


def test_all_precisions_of_a_model_share_one_question(asked, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"one")
    for precision in ("fp32", "fp16", "int8"):
        compile_worker.ask_apart(path, dataclasses.replace(PLAN, precision=precision))
    assert len(asked) == 1
    path.write_bytes(b"two")
    compile_worker.ask_apart(path, PLAN)
    assert len(asked) == 2, "another model at the same place is another question"
    compile_worker.ask_apart(path, dataclasses.replace(PLAN, compute_capabilities=("8.9",)))
    assert len(asked) == 3, "and so is another GPU"
