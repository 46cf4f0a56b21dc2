"""What a device would refuse, or take for something else, is refused on the machine that builds."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest

from profiles.device import load_device
from profiles.errors import UnsupportedError
from targets.onnx_tools import list_nodes
from targets.tensorrt.compile import compile_bundle
from targets.tensorrt.compiler.limits import beyond, check_quantization, quantized_bias
from targets.tensorrt.plan import BuildPlan

HERE = Path(__file__).parents[1]
nets = runpy.run_path(str(HERE / "nets.py"))
faulty = runpy.run_path(str(HERE / "faulty.py"))
JETSON = dataclasses.replace(load_device("local-cpu"), parameters={"library": "tensorrt", "compute_capability": "8.7"})


def test_a_quantized_bias_is_known_where_nobody_can_be_asked():
    bias, conv = list_nodes(faulty["integer_bias"]())
    plan = BuildPlan("tensorrt", "int8", ("8.7",))
    assert beyond(bias, plan) == quantized_bias.__doc__ and not beyond(conv, plan)


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (faulty["pair"](zero=3), "zero point other than 0"),
        (faulty["pair"](zero=128, kind=np.uint8), "zero point other than 0"),
        (faulty["pair"](kind=np.uint8), "uint8"),
        (faulty["integer_bias"](), "int32"),
    ],
)
def test_no_bundle_carries_what_the_device_refuses(tmp_path, graph, why):
    """Full TensorRT compiles on the device, so nothing else looks at the graph before."""
    model = nets["exported"](graph, tmp_path / "in.onnx")
    with pytest.raises(UnsupportedError) as error:
        compile_bundle(model, JETSON, tmp_path)
    assert why in error.value.seen and f"'{graph.graph.node[0].name}'" in error.value.seen, error.value.seen


def test_symmetric_pairs_pass():
    check_quantization(faulty["pair"]())
    check_quantization(faulty["fp8"]())
    check_quantization(nets["cnn"]())
