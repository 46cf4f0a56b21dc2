"""What the benchmark of lightweight networks makes of its times."""

import pytest

from benchmarks.networks import BASE, _figures, _row, built
from toolchain.compress.catalogue import all_methods
from toolchain.compress.catalogue.networks import Network

NETWORKS = {method.name: method for method in all_methods() if isinstance(method, Network)}


def test_times_are_held_against_the_base_of_the_same_round():
    times = {"onnxruntime": {BASE: [1.0, 2.0, 4.0], "squeezenet": [2.0, 6.0, 4.0]}}
    found = _figures(NETWORKS["squeezenet"], times)
    assert found["time"] == {"onnxruntime": {"median": 2.0, "low": 1.0, "high": 3.0}}


def test_an_engine_that_has_not_run_a_network_is_a_dash_not_a_figure():
    times = {"onnxruntime": {BASE: [1.0], "squeezenet": [2.0]}, "openvino": {BASE: [1.0]}}
    found = {name: _figures(NETWORKS[name], times) for name in (BASE, "squeezenet")}
    cells = _row(NETWORKS["squeezenet"], found)
    share = NETWORKS["squeezenet"].macs / NETWORKS[BASE].macs
    assert cells[4:] == ["2.00 (2.00–2.00)", "–", "–", f"{2 / share:.2f}"]


def test_the_base_is_in_the_catalogue():
    assert BASE in NETWORKS, f"{BASE} is none of {sorted(NETWORKS)}"
    assert NETWORKS[BASE].macs == pytest.approx(314e6, rel=0.05)


@pytest.mark.parametrize("name", ["micronet", "condconv", "squeezenet"])
def test_what_is_timed_is_what_the_catalogue_counts(name):
    counted = sum(parameter.numel() for parameter in built(NETWORKS[name]).parameters())
    assert counted == NETWORKS[name].params, f"{name} is timed with {counted} parameters, not {NETWORKS[name].params}"
