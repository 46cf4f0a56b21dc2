"""Whole networks through TVM's virtual machine, regions run by the layers' definition or the golden machine."""

import hosted_nets
import numpy as np
import pytest
import qdq
from agreement import SMALL, split

from profiles.errors import DataError
from targets.tvm_fpga.compiler.compile import compile_region, golden, run_program
from targets.tvm_fpga.compiler.reference import run_region
from targets.tvm_fpga.host.build import build_host
from targets.tvm_fpga.host.module import HostModule
from targets.tvm_fpga.host.ports import HostRegion
from targets.tvm_fpga.host.target import host_target


def by_definition(parted):
    regions = {each.symbol: each.region for each in parted.regions}
    return lambda symbol, inputs: run_region(regions[symbol], inputs)


def on_the_machine(parted):
    programs = {each.symbol: compile_region(each.region, SMALL) for each in parted.regions}
    return lambda symbol, inputs: run_program(programs[symbol], inputs, golden)[0]


def hosted(graph, folder, executor=by_definition):
    parted = split(graph)
    library = build_host(parted, host_target("x86_64"), folder / "host.so")
    return parted, HostModule(library, [each.host for each in parted.regions], executor(parted))


def where(parted):
    """Operators by name: whether the accelerator runs them."""
    return {each.name: each.accelerated for each in parted.split.operators}


def steps(graph, module, scale):
    """Differences from the float reference, in steps of an output's scale."""
    samples = hosted_nets.images(graph)
    wanted = qdq.reference(graph.model(), samples)
    found = [module.run(list(sample.values())) for sample in samples]
    pairs = [(a, b) for mine, its in zip(found, wanted, strict=True) for a, b in zip(mine, its, strict=True)]
    return np.concatenate([((a - b) / scale).reshape(-1) for a, b in pairs]), np.concatenate(
        [b.reshape(-1) for _, b in pairs]
    )


def test_residual_network_is_one_region(tmp_path):
    parted, module = hosted(hosted_nets.residual(), tmp_path)
    assert len(parted.regions) == 1
    assert [name for name, there in where(parted).items() if not there][-1] == "last" and sum(
        where(parted).values()
    ) > 10
    off, real = steps(hosted_nets.residual(), module, 1.0)
    assert real.std() > 0.05 and np.abs(off).max() < 0.12, f"probabilities differ by up to {np.abs(off).max():.3f}"


def test_the_machine_gives_the_same_bytes(tmp_path):
    graph = hosted_nets.residual()
    parted, module = hosted(graph, tmp_path)
    exact = HostModule(tmp_path / "host.so", [each.host for each in parted.regions], on_the_machine(parted))
    for sample in hosted_nets.images(graph):
        assert np.array_equal(module.run(list(sample.values()))[0], exact.run(list(sample.values()))[0])


def test_branches(tmp_path):
    parted, module = hosted(hosted_nets.branches(), tmp_path, on_the_machine)
    assert len(parted.regions) == 1
    off, real = steps(hosted_nets.branches(), module, 0.47)
    assert real.std() > 5 and np.abs(off).max() <= 2.01 and np.mean(np.abs(off) > 0.5) < 0.05


def test_an_operator_that_stays_on_the_host_cuts_the_network(tmp_path):
    parted, module = hosted(hosted_nets.host_between(), tmp_path, on_the_machine)
    assert len(parted.regions) == 2
    assert where(parted) == {"before": True, "middle": False, "after": True}
    middle = next(each for each in parted.split.operators if each.name == "middle")
    assert middle.reason == "the accelerator has no such operator"
    taken = [(crossing.taken, crossing.given) for crossing in parted.split.crossings]
    assert taken == [(4 * 64, 8 * 64), (8 * 64, 8 * 64)]
    off, real = steps(hosted_nets.host_between(), module, 0.037)
    assert real.std() > 0.1 and np.abs(off).max() <= 3.01 and np.mean(np.abs(off) > 0.5) < 0.1


def test_nothing_for_the_accelerator(tmp_path):
    graph = hosted_nets.refused()
    parted, module = hosted(graph, tmp_path)
    assert not parted.regions and not parted.split.crossings
    reason = parted.split.operators[0].reason
    assert "not quantized" in reason
    off, real = steps(graph, module, 1.0)
    assert real.std() > 0.1 and np.abs(off).max() < 1e-4


def test_one_region_with_two_outputs(tmp_path):
    parted, module = hosted(hosted_nets.two_outputs(), tmp_path, on_the_machine)
    assert [len(each.region.outs) for each in parted.regions] == [2]
    graph = hosted_nets.two_outputs()
    sample = hosted_nets.images(graph)[0]
    wanted = qdq.reference(graph.model(), [sample])[0]
    for mine, its, scale in zip(module.run(list(sample.values())), wanted, (0.11, 0.57), strict=True):
        assert mine.shape == its.shape and np.abs(mine - its).max() <= 1.01 * scale


def test_two_networks_and_two_executors_side_by_side(tmp_path):
    """TVM's table of functions is one for the process; the one that runs must be asked."""
    graph = hosted_nets.two_outputs()
    parted, first = hosted(graph, tmp_path)
    zeros = {tensor.name: np.zeros(tensor.shape, np.int8) for tensor in parted.regions[0].region.outs}
    second = HostModule(tmp_path / "host.so", [each.host for each in parted.regions], lambda symbol, inputs: zeros)
    sample = list(hosted_nets.images(graph)[0].values())
    before = first.run(sample)[1]
    assert len(np.unique(second.run(sample)[1])) == 1
    assert np.array_equal(first.run(sample)[1], before) and len(np.unique(before)) > 10


def test_an_executors_error_arrives_as_it_is(tmp_path):
    graph = hosted_nets.two_outputs()
    parted, _ = hosted(graph, tmp_path)

    def fails(symbol, inputs):
        raise DataError("the accelerator", seen="smoke")

    module = HostModule(tmp_path / "host.so", [each.host for each in parted.regions], fails)
    with pytest.raises(DataError, match="smoke"):
        module.run(list(hosted_nets.images(graph)[0].values()))


def test_symbols_differ_between_networks_and_not_between_runs():
    symbols = [
        each.symbol
        for graph in (hosted_nets.residual(), hosted_nets.branches(), hosted_nets.residual())
        for each in split(graph).regions
    ]
    assert symbols[0] == symbols[2] != symbols[1]


def test_host_regions_survive_the_manifest():
    for each in split(hosted_nets.two_outputs()).regions:
        assert HostRegion.from_dict(each.host.as_dict()) == each.host
