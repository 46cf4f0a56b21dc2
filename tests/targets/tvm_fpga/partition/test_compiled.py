"""An operator that does not fit with its neighbours goes back to the host, and the others stay."""

import pytest
import qdq
from agreement import SMALL

from profiles.errors import UnsupportedError
from targets.tvm_fpga.partition import compiled
from targets.tvm_fpga.partition.load import import_onnx


def chain():
    graph = qdq.Graph(1)
    x = graph.input(1, 4, 8, 8)
    for name in ("first", "a/second", "third"):
        x = graph.stored(graph.conv(x, 8, 3, name=name), 0.4)
    return import_onnx(graph.output(x).model(), "net")


def failing(monkeypatch, words):
    """A compiler that refuses regions with the layer ``a/second`` in these words."""
    real = compiled.compile_region

    def compile_region(region, geometry):
        if "a/second" in [layer.name for layer in region.layers]:
            raise UnsupportedError(words, seen="too much")
        return real(region, geometry)

    monkeypatch.setattr(compiled, "compile_region", compile_region)


def where(parted):
    return {each.name: each.accelerated for each in parted.split.operators}


def test_everything_fits():
    parted, programs = compiled.partition_and_compile(chain(), SMALL)
    assert list(programs) == [each.symbol for each in parted.regions] and len(programs) == 1


def test_the_operator_that_the_compiler_names(monkeypatch):
    failing(monkeypatch, "the activations of 'a/second' do not fit")
    parted, programs = compiled.partition_and_compile(chain(), SMALL)
    assert where(parted) == {"first": True, "a/second": False, "third": True}
    assert set(programs) == {each.symbol for each in parted.regions} and len(programs) == 2
    assert parted.split.operators[1].reason == "the activations of 'a/second' do not fit (seen: too much)"


@pytest.mark.parametrize("words", ["something is wrong", "the layer 'other' is wrong"])
def test_a_compiler_that_names_none(monkeypatch, words):
    failing(monkeypatch, words)
    parted, programs = compiled.partition_and_compile(chain(), SMALL)
    assert not programs and not any(where(parted).values())
