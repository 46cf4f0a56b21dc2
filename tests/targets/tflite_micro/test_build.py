"""The way from a graph to a program."""

import dataclasses

import harness
import networks

from profiles.device import load_device
from targets.tflite_micro.build import make_program
from targets.tflite_micro.device import fused_rows


def test_without_fusion_the_network_is_larger_and_computes_the_same():
    graph = harness.graph_of(networks.resnet8())
    fused, plain = make_program(graph, "portable"), make_program(graph, "portable", fused_rows=False)
    assert any(layer.group for layer in fused.layers) and not any(layer.group for layer in plain.layers)
    assert fused.arena < 0.8 * plain.arena
    assert fused.arena >= fused.plan.lower_bound and plain.arena >= plain.plan.lower_bound
    assert [call.op for call in fused.calls].count("CONV_2D") == [call.op for call in plain.calls].count("CONV_2D")


def test_a_device_may_switch_fusion_off():
    device = load_device("cortex-m55-an547")
    assert fused_rows(device)
    off = dataclasses.replace(device, parameters={**device.parameters, "fuse": False})
    assert not fused_rows(off)
