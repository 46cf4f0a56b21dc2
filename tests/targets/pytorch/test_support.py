"""What is said before anything is compiled."""

import dataclasses

import pytest

from profiles.device import Memory
from targets.base import Verdict
from targets.pytorch.target import PyTorchTarget

TARGET = PyTorchTarget()


def test_every_operator_of_a_program_runs(model, processor):
    report = TARGET.support(model, processor(), "fp32")
    assert report.ok and {row.verdict for row in report.ops} == {Verdict.NATIVE}
    rows = {row.name: row.op for row in report.ops}
    assert rows["stem/conv2d"] == "conv2d" and rows["fc/linear"] == "linear" and "table/embedding" in rows
    assert not [name for name in rows if "assert" in name]


def test_weights_are_counted(model, processor, net):
    wanted = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    assert TARGET.support(model, processor(), "fp32").weights_bytes == wanted


@pytest.mark.parametrize(
    ("precision", "features", "slow"),
    [
        ("fp16", (), True),
        ("fp16", ("avx512_bf16",), True),
        ("fp16", ("avx512_fp16",), False),
        ("bf16", ("avx512_fp16",), True),
        ("bf16", ("amx_bf16",), False),
        ("fp32", (), False),
    ],
)
def test_16_bits_are_slow_on_processors_without_their_arithmetic(model, processor, precision, features, slow):
    report = TARGET.support(model, processor(*features), precision)
    assert report.ok, "it runs all the same"
    said = {row.op for row in report.ops if row.verdict is Verdict.FALLBACK}
    assert said == ({"conv2d", "linear"} if slow else set())
    assert all("slow" in row.note for row in report.ops if row.verdict is Verdict.FALLBACK)


def test_a_gpu_has_both(model, gpu):
    for precision in ("fp16", "bf16"):
        assert {row.verdict for row in TARGET.support(model, gpu, precision).ops} == {Verdict.NATIVE}


def test_without_a_program_it_says_what_to_start_from(model, processor):
    report = TARGET.support(dataclasses.replace(model, pt2=None), processor(), "fp32")
    assert report.problems == ("no .pt2 program: start from a torch model",) and not report.ok


def test_a_damaged_program_is_a_problem_and_no_crash(model, processor, tmp_path):
    (tmp_path / "bad.pt2").write_bytes(b"no program")
    report = TARGET.support(dataclasses.replace(model, pt2=tmp_path / "bad.pt2"), processor(), "fp32")
    assert not report.ok and "bad.pt2" in report.problems[0]


def test_weights_that_do_not_fit_are_a_problem(model, processor):
    device = dataclasses.replace(processor(), memories=(Memory("ram", "ram", 1000.0),))
    assert "does not fit" in TARGET.support(model, device, "fp32").problems[0]
