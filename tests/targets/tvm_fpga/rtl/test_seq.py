"""ew_seq: every position of random instructions, against loops in Python, whatever the room behind it."""

import numpy as np
import pytest
from bench import Bench, word

from targets.tvm_fpga.isa import Instruction, Mode, Op

LANES = 4
PASSES = -(-9 // LANES)
#: What must hold of an output for it to matter.
ONLY_IF = {"o_at": "o_inside", "acc": "o_emit", "o_out": "lets_go", "o_res": "o_second", "o_par": "o_last"}


def positions(given: Instruction) -> list[dict[str, int]]:
    """What goes with each position, in order; the loops are those of the definition of COMPUTE."""
    window, conv = given["mode"] == Mode.WINDOW, given["mode"] == Mode.CONV
    kys, kxs = (1, PASSES) if window else (given["kh"], given["kw"])
    tiles = [(ky, kx, ct) for ky in range(kys) for kx in range(kxs) for ct in range(given["ct"] if conv else 1)]
    found = []
    for nt in range(given["nt"]):
        for tile, (ky, kx, ct) in enumerate(tiles):
            final = tile == len(tiles) - 1
            walked = _tile(given, nt, (ky, kx, ct), first=tile == 0, final=final)
            for number, each in enumerate(walked):
                ends = number == len(walked) - 1 and final and nt == given["nt"] - 1
                each |= {"o_tile_first": number == 0, "o_tile_final": final and nt == given["nt"] - 1, "o_end": ends}
            found += walked
    return found


def _tile(given, nt, tap, *, first, final):
    window, conv = given["mode"] == Mode.WINDOW, given["mode"] == Mode.CONV
    ky, kx, ct = tap
    rows, columns = (given["wrows"], given["wcols"]) if window else (given["rows"], given["ow"])
    found, emitted = [], 0
    for r in range(rows):
        for x in range(columns):
            iy, ix, at = _place(given, r, x, (0, 0) if window else (ky, kx))
            emit = not window or (r >= 2 and x >= 2 and (r - 2) % given["sy"] == 0 and (x - 2) % given["sx"] == 0)
            out_r, out_x = ((r - 2) // given["sy"], (x - 2) // given["sx"]) if window else (r, x)
            last = final and not given["keep"]
            found.append({
                "o_inside": 0 <= iy < given["in_h"] and 0 <= ix < given["in_w"],
                "o_at": at + (ct if conv else nt), "o_emit": emit, "lets_go": emit and last,
                "o_first": first and not given["carry"], "o_last": last,
                "o_second": bool(given["residual"] and last and emit), "o_own": not conv, "window": window,
                "pass": kx if window else 0, "column": x, "acc": emitted, "o_par": given["par"] + nt,
                "o_out": given["out_base"] + nt + out_r * given["out_row"] + out_x * given["out_px"],
                "o_res": given["res_base"] + nt + out_r * given["res_row"] + out_x * given["res_px"],
            })  # fmt: skip
            emitted += emit
    return found


def _place(given, r, x, tap):
    """Row, column and address of a position for a tap."""
    ky, kx = tap
    names = ("step_ky", "step_kx") if given["mode"] == Mode.WINDOW else ("step_y", "step_x")
    sy, sx = (1, 1) if given["mode"] == Mode.WINDOW else (given["sy"], given["sx"])
    at = given["in_base"] + r * given[names[0]] + x * given[names[1]] + ky * given["step_ky"] + kx * given["step_kx"]
    return given["iy0"] + ky * given["dy"] + r * sy, given["ix0"] + kx * given["dx"] + x * sx, at


def some(seed: int) -> Instruction:
    """A random COMPUTE that makes sense and stays within the memories."""
    rng = np.random.default_rng(seed)
    draw = lambda low, high: int(rng.integers(low, high + 1))  # noqa: E731
    mode = list(Mode)[seed % 3]
    alone = mode is Mode.CONV and seed % 4 == 0
    values = {
        "mode": mode, "nt": 1 if alone else draw(1, 3), "ct": draw(1, 3), "kh": draw(1, 3), "kw": draw(1, 3),
        "rows": draw(1, 4), "ow": draw(1, 5), "wrows": draw(3, 6), "wcols": draw(3, 7),
        "in_base": draw(0, 300), "in_h": draw(1, 6), "in_w": draw(1, 6), "iy0": draw(-2, 2), "ix0": draw(-2, 2),
        "step_y": draw(0, 40), "step_x": draw(0, 9), "step_ky": draw(0, 30), "step_kx": draw(0, 9),
        "sy": draw(1, 3), "sx": draw(1, 3), "dy": draw(1, 2), "dx": draw(1, 2),
        "out_base": draw(0, 200), "out_row": draw(0, 40), "out_px": draw(0, 9),
        "res_base": draw(0, 200), "res_row": draw(0, 40), "res_px": draw(0, 9),
        "par": draw(0, 20), "residual": draw(0, 1), "carry": alone * draw(0, 1), "keep": alone * draw(0, 1),
    }  # fmt: skip
    return Instruction(Op.COMPUTE, values)


def walk(bench: Bench, given: Instruction, rng: np.random.Generator, room: float) -> list[dict[str, int]]:
    """The positions that are taken; ``room`` is how likely there is some in a cycle."""
    found, asked = [], False
    for _ in range(6000):
        there = int(rng.random() < room)
        seen = bench.step(take_ok=int(not asked), instr=word(given), room=there)
        asked = asked or bool(seen["take"])
        if seen["active"] and there:
            found.append(seen)
            if seen["o_end"]:
                return found
    raise AssertionError(f"it never ended; {len(found)} positions came")


@pytest.mark.parametrize("room", [1.0, 0.5, 0.1])
def test_positions_are_those_of_the_loops(room):
    bench, rng = Bench("ew_seq", LANES=LANES), np.random.default_rng(1)
    for seed in range(60):
        given = some(seed)
        wanted, found = positions(given), walk(bench, given, rng, room)
        assert len(found) == len(wanted), f"{given}: positions"
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            asked = {key: int(each) for key, each in other.items() if key != "lets_go" and other[ONLY_IF.get(key, key)]}
            zero = {key: 0 for key, each in other.items() if key.startswith("o_") and key not in ONLY_IF and not each}
            seen = {key: one[key] for key in asked | zero}
            assert seen == asked | zero, f"{given}: position {number}"
        assert not bench.step()["fault"], f"{given}: everything lies within the memories"


@pytest.mark.parametrize(
    "wrong",
    [{"mode": 3}, {"nt": 0}, {"rows": 0}, {"ow": 0}, {"kh": 0}, {"ct": 0}, {"mode": 1, "wrows": 2},
     {"mode": 1, "wcols": 200}, {"mode": 1, "sx": 0}, {"mode": 2, "keep": 1}, {"carry": 1, "nt": 2},
     {"in_base": 8192}, {"out_base": 8192}, {"par": 128}],
    ids=lambda wrong: " ".join(f"{key}={value}" for key, value in wrong.items()),
)  # fmt: skip
def test_instructions_without_sense_are_a_fault(wrong):
    good = {"mode": 0, "nt": 1, "ct": 1, "kh": 1, "kw": 1, "rows": 2, "ow": 2, "wrows": 4, "wcols": 4, "in_h": 2,
            "in_w": 2, "sy": 1, "sx": 1}  # fmt: skip
    for changes, fault in (({}, 0), (wrong, 1)):
        bench = Bench("ew_seq", LANES=LANES)
        asked = word(Instruction(Op.COMPUTE, good | changes))
        seen = [bench.step(take_ok=int(cycle < 3), instr=asked, room=1) for cycle in range(30)]
        assert seen[-1]["fault"] == fault, f"with {changes or 'what makes sense'}"


@pytest.mark.parametrize(("fence", "in_flight", "taken"), [(0, 0, 1), (0, 1, 1), (0, 2, 0), (1, 0, 1), (1, 1, 0)])
def test_it_begins_with_two_in_flight_at_most_and_behind_a_fence_with_none(fence, in_flight, taken):
    bench = Bench("ew_seq", LANES=LANES)
    given = some(0)
    asked = word(Instruction(Op.COMPUTE, {**{name: given[name] for name in ("nt", "ct", "kh", "kw", "rows", "ow")},
                                          "fence": fence}))  # fmt: skip
    for _ in range(5):
        assert not bench.step(take_ok=0, instr=asked, in_flight=in_flight)["take"], "nothing was offered"
    seen = [bench.step(take_ok=1, instr=asked, in_flight=in_flight)["take"] for _ in range(3)]
    assert any(seen) == bool(taken)
