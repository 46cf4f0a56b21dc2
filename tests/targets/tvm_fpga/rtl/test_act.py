"""ew_act and ew_window against arrays."""

import numpy as np
from bench import Bench, packed, unpacked

LANES, DEPTH = 4, 64
BANK = DEPTH // 4


def test_activation_memory_grants_by_rank_and_reads_what_was_written():
    """One read and one write of a bank in a cycle; data come two cycles after the grant."""
    bench, rng = Bench("ew_act", LANES=LANES, DEPTH=DEPTH), np.random.default_rng(4)
    memory = np.zeros((DEPTH, LANES), np.int8)
    for at in range(DEPTH):
        memory[at] = rng.integers(-128, 128, LANES)
        bench.step(load_req=1, load_addr=at, load_data=packed(memory[at]))
    coming: list[dict[str, np.ndarray]] = []
    for cycle in range(2000):
        asked = {name: int(rng.integers(DEPTH)) for name in ("feed", "res", "store", "out", "load")}
        wants = {name: bool(rng.random() < 0.7) for name in asked}
        if asked["feed"] // BANK == asked["res"] // BANK:
            wants["res"] = False  # never both of one bank
        data = {name: rng.integers(-128, 128, LANES).astype(np.int8) for name in ("out", "load")}
        for name in ("feed", "res", "store"):  # the value of a word that is written now is not defined
            wants[name] &= asked[name] not in (asked["out"], asked["load"])
        seen = bench.step(
            **{f"{name}_req": int(wants[name]) for name in wants}, **{f"{name}_addr": at for name, at in asked.items()},
            out_data=packed(data["out"]), load_data=packed(data["load"]),
        )  # fmt: skip
        busy = {asked[name] // BANK for name in ("feed", "res") if wants[name]}
        store = wants["store"] and asked["store"] // BANK not in busy
        load = wants["load"] and not (wants["out"] and asked["out"] // BANK == asked["load"] // BANK)
        granted = (seen["store_gnt"], wants["load"] and seen["load_gnt"])
        assert granted == (store, load), f"cycle {cycle}: {wants} at {asked}"
        for name, value in (coming[-2] if len(coming) > 1 else {}).items():
            got = unpacked(seen[f"{name}_data"], "int8", LANES)
            assert (got == value).all(), f"cycle {cycle}: {name} reads {got} for {value}"
        reads = {"feed": wants["feed"], "res": wants["res"], "store": store}
        coming.append({name: memory[asked[name]].copy() for name, given in reads.items() if given})
        if load:
            memory[asked["load"]] = data["load"]
        if wants["out"]:
            memory[asked["out"]] = data["out"]


def test_window_holds_nine_taps_of_three_rows():
    """Vectors go in row by row; the window is that of the last three rows and columns, tap by tap in passes."""
    rng, (rows, columns) = np.random.default_rng(5), (6, 9)
    bench = Bench("ew_window", LANES=LANES, LINE=16)
    image = rng.integers(-128, 128, (rows, columns, LANES)).astype(np.int8)
    for number in range(rows * columns):
        y, x = divmod(number, columns)
        while rng.random() < 0.3:
            bench.step(column=int(rng.integers(16)))
        bench.step(look=1, column=x)
        pass_number = int(rng.integers(3))
        bench.step(shift=1, vec=packed(image[y, x]), **{"pass": pass_number})
        seen = unpacked(bench.step()["window"], "int8", LANES * LANES).reshape(LANES, LANES)
        if y < 2 or x < 2:
            continue
        taps = image[y - 2 : y + 1, x - 2 : x + 1].reshape(9, LANES)
        for row, tap in enumerate(range(LANES * pass_number, min(9, LANES * (pass_number + 1)))):
            assert (seen[row] == taps[tap]).all(), f"row {y}, column {x}, pass {pass_number}: row {row} is tap {tap}"


def test_window_at_one_vector_per_cycle_and_single_taps():
    rng = np.random.default_rng(6)
    bench = Bench("ew_window", LANES=LANES, LINE=16)
    image = rng.integers(-128, 128, (5, 7, LANES)).astype(np.int8)
    flat = image.reshape(-1, LANES)
    for number in range(len(flat) + 2):
        looks, shifts = number < len(flat), 1 <= number <= len(flat)
        seen = bench.step(
            look=int(looks), column=number % 7, shift=int(shifts), vec=packed(flat[number - 1]) if shifts else 0
        )
        y, x = divmod(number - 2, 7)
        if number >= 2 and y >= 2 and x >= 2:
            got = unpacked(seen["window"], "int8", LANES * LANES).reshape(LANES, LANES)
            taps = image[y - 2 : y + 1, x - 2 : x + 1].reshape(9, LANES)
            assert (got == taps[:LANES]).all(), f"row {y}, column {x}"
    vector = rng.integers(-128, 128, LANES).astype(np.int8)
    bench.step(shift=1, single=1, vec=packed(vector))
    got = unpacked(bench.step()["window"], "int8", LANES * LANES)[:LANES]
    assert (got == vector).all(), "a single tap is on the first row"
