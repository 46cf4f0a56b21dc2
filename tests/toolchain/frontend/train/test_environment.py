import pytest
import torch

from toolchain.frontend.train.environment import (
    at_home,
    bounded_threads,
    cpu_has_bf16,
    deterministic,
    own_random,
    resolve_precision,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu sse avx512_bf16 avx512f\n", True),
        ("flags : fpu amx_tile amx_bf16\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("flags : not_avx512_bf16_at_all\n", False),
        ("Features : fp asimd bf16\n", False),
        ("", False),
    ],
)
def test_which_processors_compute_in_bf16(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_has_bf16(tmp_path / "cpuinfo") is expected


def test_machines_without_the_file_and_given_precisions(tmp_path):
    assert cpu_has_bf16(tmp_path / "none") is False
    assert [resolve_precision(name) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert resolve_precision("auto") in ("fp32", "bf16")


def test_threads_come_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), bounded_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        _ = 1 / 0
    assert torch.get_num_threads() == before


def test_determinism_and_random_state_come_back():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        torch.manual_seed(99)
        torch.rand(5)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.rand(2), expected)


def test_what_is_drawn_for_oneself_changes_nothing_afterwards():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with own_random("cpu"):
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)


def test_modules_go_home_after_an_error(monkeypatch):
    """One with parameters, one with buffers only, and one that has neither and is nowhere."""
    weights, statistics, nothing = torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2, affine=False), torch.nn.ReLU()
    home, moved = torch.device("cpu"), []
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, device: moved.append((module, device)))
    with pytest.raises(ZeroDivisionError), at_home(weights, statistics, nothing):
        _ = 1 / 0
    assert moved == [(weights, home), (statistics, home)]
