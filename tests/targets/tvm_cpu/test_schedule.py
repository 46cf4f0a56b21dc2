"""The loops: whatever the tile, a kernel computes what numpy computes, to the same bits for every tile."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm_networks import random_values

from targets.tvm_cpu.schedule import Registers, Tile, schedule, tiles

tvm = pytest.importorskip("tvm", reason="needs apache-tvm; run: pip install 'edgewright[tvm-cpu]'")
WIDE, NARROW, SCALAR = Registers(16, 16), Registers(4, 8), Registers(1, 16)


def product(rows, depth, columns):
    """relu(a @ b) as TIR, in the form that fusion gives."""
    from tvm import te

    a, b = te.placeholder((rows, depth), name="a"), te.placeholder((depth, columns), name="b")
    k = te.reduce_axis((0, depth), name="k")
    summed = te.compute((rows, columns), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="product")
    clipped = te.compute((rows, columns), lambda i, j: tvm.tirx.max(summed[i, j], 0.0), name="relu")
    return te.create_prim_func([a, b, clipped])


def run(function, rows, columns, *inputs):
    module = tvm.tirx.build(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target="llvm")
    out = tvm.runtime.tensor(np.zeros((rows, columns), np.float32))
    module["main"](*map(tvm.runtime.tensor, inputs), out)
    return out.numpy()


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 24), st.integers(1, 9), st.integers(1, 70), st.sampled_from([WIDE, NARROW, SCALAR]))
def test_the_template_computes_the_product(rows, depth, columns, registers):
    a, b = random_values((rows, depth), 1), random_values((depth, columns), 2)
    seen = run(schedule(product(rows, depth, columns), registers), rows, columns, a, b)
    np.testing.assert_allclose(seen, np.maximum(a @ b, 0), rtol=1e-4, atol=1e-5)


def test_weights_that_are_larger_than_a_cache_are_read_tile_by_tile_to_the_same_result():
    a, b = random_values((12, 600), 1), random_values((600, 128), 2)
    seen = run(schedule(product(12, 600, 128), NARROW), 12, 128, a, b)
    np.testing.assert_allclose(seen, np.maximum(a @ b, 0), rtol=1e-3, atol=1e-4)


def test_every_tile_gives_the_same_bits():
    a, b = random_values((8, 30), 1), random_values((30, 32), 2)
    function = product(8, 30, 32)
    options = tiles(function, NARROW)
    assert len(options) > 3, f"too few tiles to choose from: {options}"
    first = run(schedule(function, NARROW, options[0]), 8, 32, a, b)
    for tile in options[1:5]:
        np.testing.assert_array_equal(run(schedule(function, NARROW, tile), 8, 32, a, b), first, err_msg=str(tile))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200), st.integers(1, 300), st.sampled_from([WIDE, NARROW, SCALAR]))
def test_tiles_divide_the_output_and_the_first_fits_the_registers(rows, columns, registers):
    options = tiles(product(rows, 3, columns), registers)
    assert options, "a product has at least one tile"
    assert len(set(options)) == len(options), f"a tile comes twice: {options}"
    for tile in options:
        assert columns % tile.last == 0
        assert rows % tile.before == 0
    assert options[0].sums(registers.lanes) <= registers.sums


def test_the_registers_decide_on_the_tile():
    function = product(64, 3, 64)
    assert tiles(function, WIDE)[0] == Tile(32, 8)
    assert tiles(function, NARROW)[0] == Tile(8, 4)


def test_what_is_no_product_has_no_tiles_and_still_runs():
    from tvm import te

    a = te.placeholder((6, 7), name="a")
    k = te.reduce_axis((0, 7), name="k")
    total = te.create_prim_func([a, te.compute((6, 1), lambda i, j: te.sum(a[i, k], axis=k), name="total")])
    values = random_values((6, 7), 3)
    assert tiles(total, WIDE) == []
    np.testing.assert_allclose(run(schedule(total, WIDE), 6, 1, values), values.sum(1, keepdims=True), rtol=1e-5)
