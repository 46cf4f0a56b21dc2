"""A compiled program must give, byte for byte, what the layers' definition gives."""

import numpy as np

from targets.tvm_fpga.compiler.compile import compile_region, golden, run_program
from targets.tvm_fpga.compiler.ir import Region
from targets.tvm_fpga.compiler.reference import run_region
from targets.tvm_fpga.isa import Op
from tests.targets.tvm_fpga.networks import random_inputs


def agree(region, geometry, seed=0, executor=golden):
    """Compile (hazards are checked), run, compare; the program."""
    program = compile_region(region, geometry)
    inputs = random_inputs(region, seed)
    found, _ = run_program(program, inputs, executor)
    same(found, run_region(region, inputs))
    return program


def same(found, wanted):
    for name, want in wanted.items():
        wrong = np.argwhere(found[name] != want)
        assert not len(wrong), (
            f"{len(wrong)} of {want.size} values of '{name}' are wrong, the first at {tuple(wrong[0])}: "
            f"{found[name][tuple(wrong[0])]} instead of {want[tuple(wrong[0])]}"
        )


def single(layer):
    """A region of one layer; what it adds is an input too."""
    return Region((layer,), tuple({each.name: each for each in layer.sources}.values()), (layer.out,))


def computes(program):
    return program.of(Op.COMPUTE)
