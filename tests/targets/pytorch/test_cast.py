"""16-bit programs: what is cast, what stays, and how far the outputs may be from float64."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from profiles.errors import UnsupportedError
from targets.base import Scheme
from targets.pytorch.program import load_program
from targets.pytorch.target import PyTorchTarget

TARGET = PyTorchTarget()
KINDS = {"fp16": torch.float16, "bf16": torch.bfloat16}
#: Unit roundoff (Higham 2002, section 2.1: half the distance from 1 to the next number).
ROUNDOFF = {"fp16": 2.0**-11, "bf16": 2.0**-8}


@pytest.fixture
def cast(model, processor, tmp_path):
    def made(precision, of=model):
        return TARGET.quantize(of, [], processor(), Scheme(precision), tmp_path)

    return made


def run(model, sample):
    with torch.inference_mode():
        return load_program(model.pt2).forward(*(torch.from_numpy(values) for values in sample.values()))


@pytest.mark.parametrize("precision", KINDS)
def test_weights_are_cast_and_inputs_and_outputs_are_not(cast, precision, sample):
    done = cast(precision)
    assert done.precision == precision
    weights = load_program(done.pt2).state_dict()
    floats = {name: value.dtype for name, value in weights.items() if value.is_floating_point()}
    assert set(floats.values()) == {KINDS[precision]}, floats
    outputs = run(done, sample)  # float32 and int64 go in
    assert [value.dtype for value in outputs] == [torch.float32, torch.float32, torch.int64]


@pytest.mark.parametrize("precision", KINDS)
def test_every_operator_in_between_computes_in_16_bits(cast, precision):
    module = load_program(cast(precision).pt2)
    kinds = {}
    for node in module.graph.nodes:
        value = node.meta.get("val")
        if node.op == "call_function" and isinstance(value, torch.Tensor) and value.is_floating_point():
            kinds.setdefault(value.dtype, []).append(node.name)
    backs = kinds.pop(torch.float32, [])
    assert len(backs) == 2, f"float32 comes back at the two float outputs only: {backs}"
    assert set(kinds) == {KINDS[precision]}, "constants made inside, and casts to float32 inside, follow"


@pytest.mark.parametrize("precision", KINDS)
def test_the_error_is_that_of_the_format(cast, precision, net, sample, outputs_of):
    """Some ten roundings in a row, each of at most the unit roundoff, and not fewer than one."""
    exact = outputs_of(net, sample, torch.float64)
    for seen, wanted in zip(run(cast(precision), sample)[:2], exact[:2], strict=True):
        error = np.abs(seen.numpy() - wanted).max() / np.abs(wanted).max()
        assert 0.05 * ROUNDOFF[precision] < error < 10 * ROUNDOFF[precision], f"{precision}: {error:.2g}"


def test_fp32_is_the_program_itself(model, cast):
    assert cast("fp32") is model


def test_a_constant_tensor_is_cast_too(exported_to, cast):
    class Constant(nn.Module):
        def forward(self, x):
            return x * torch.tensor([0.1, 0.2, 0.3])

    sample = {"x": np.ones((1, 3), np.float32)}
    seen = run(cast("bf16", exported_to(Constant(), sample)), sample)[0].numpy()
    wanted = torch.tensor([[0.1, 0.2, 0.3]]).to(torch.bfloat16).float().numpy()
    assert np.array_equal(seen, wanted), "the product with 1 is the constant, rounded to bf16"


def test_without_a_program_it_says_so(model, cast):
    with pytest.raises(UnsupportedError, match=r"needs a \.pt2 program of 'net'"):
        cast("fp16", dataclasses.replace(model, pt2=None))


def test_an_operator_without_16_bits_is_refused_in_our_words(exported_to, cast):
    class Fourier(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x).real

    program = exported_to(Fourier(), {"x": np.eye(3, dtype=np.float32)[None]})
    with pytest.raises(UnsupportedError, match="wanted 'net' in fp16") as caught:
        cast("fp16", program)
    assert caught.value.next_step == "use fp32" and caught.value.seen
