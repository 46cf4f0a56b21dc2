"""ew_array, ew_acc and ew_ppu: products, sums, requantization."""

import hypothesis
import numpy as np
from bench import Bench, packed, unpacked
from hypothesis import strategies as st

LANES = 4


def test_array_multiplies_by_the_weights_that_were_swapped_in():
    """A vector leaves as sums four cycles later; new weights are loaded while the old ones are used."""
    bench, rng = Bench("ew_array", LANES=LANES), np.random.default_rng(2)
    shadow = active = np.zeros((LANES, LANES), np.int64)
    wanted: list[np.ndarray] = []
    for cycle in range(600):
        vector, window = rng.integers(-128, 128, LANES), rng.integers(-128, 128, (LANES, LANES))
        own, only, load, row = (int(rng.integers(n)) for n in (2, 2, 2, LANES))
        swap, data = int(rng.random() < 0.2), rng.integers(-128, 128, LANES)
        seen = bench.step(
            vec=packed(vector.astype(np.int8)),
            window=packed(window.astype(np.int8)),
            own=own,
            load=load,
            load_only=only,
            load_row=row,
            load_data=packed(data.astype(np.int8)),
            swap=swap,
        )
        if cycle > 10:
            got = unpacked(seen["sums"], "int32", LANES)
            assert (got == wanted[-4]).all(), f"cycle {cycle}: {got} for {wanted[-4]}"
        operand = window if own else np.repeat(vector[:, None], LANES, 1)
        wanted.append((operand * active).sum(0))
        before = shadow.copy()
        if load:
            shadow = np.zeros_like(shadow) if only else shadow.copy()
            shadow[row] = data
        active = before if swap else active


def test_sums_of_a_position_that_comes_back_at_any_distance():
    bench, rng = Bench("ew_acc", LANES=LANES, DEPTH=16), np.random.default_rng(3)
    kept = {}
    ahead = 2  # cycles by which a position is named before its sum
    plan = [(0, 0, 0, 0, 0, np.zeros(LANES, np.int64))] * 3 + [_position(rng) for _ in range(1500)]
    wanted = None
    for cycle in range(len(plan)):
        look = plan[cycle + ahead] if cycle + ahead < len(plan) else None
        valid, at, first, last, largest, sums = plan[cycle]
        first = first or at not in kept
        seen = bench.step(
            look=int(bool(look) and look[0]),
            look_at=look[1] if look else 0,
            valid=valid,
            first=first,
            last=last,
            largest=largest,
            sums=packed(sums.astype(np.int32)),
        )
        if wanted is not None:
            got = unpacked(seen["result"], "int32", LANES)
            assert (got == wanted).all(), f"cycle {cycle}: {got} for {wanted}"
        wanted = None
        if valid:
            prior = kept.get(at, sums)
            wanted = sums if first else np.maximum(prior, sums) if largest else (prior + sums).astype(np.int32)
            if not last:
                kept[at] = wanted


def _position(rng):
    return (
        int(rng.random() < 0.8),
        int(rng.integers(5)),
        int(rng.random() < 0.2),
        int(rng.random() < 0.2),
        int(rng.random() < 0.2),
        rng.integers(-(1 << 20), 1 << 20, LANES),
    )


def _rounded(value: int, shift: int) -> int:
    return (value + ((1 << shift) >> 1)) >> shift


def _byte(value: int) -> int:
    return value - 256 if value > 127 else value


@st.composite
def lanes_settings(draw):
    byte = st.integers(-128, 127)
    number = {name: draw(byte) for name in ("zero", "lo", "hi", "other", "res_zero", "sum_zero", "sum_lo", "sum_hi")}
    for low, high in (("lo", "hi"), ("sum_lo", "sum_hi")):
        number[low], number[high] = sorted((number[low], number[high]))
    wide = st.one_of(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-1000, 1000))
    number |= {
        "sum": draw(wide),
        "bias": draw(wide),
        "mult": draw(st.integers(0, 65535)),
        "shift": draw(st.integers(0, 48)),
        "mul_a": draw(st.integers(0, 65535)),
        "mul_b": draw(st.integers(0, 65535)),
        "res_shift": draw(st.integers(0, 26)),
        "residual": draw(st.integers(0, 1)),
    }
    return number


def _wanted(n: dict[str, int]) -> int:
    """Plain integers, after the golden model's formulas."""
    value = (n["sum"] + n["bias"] + (1 << 31)) % (1 << 32) - (1 << 31)
    value = min(max(_rounded(value * n["mult"], n["shift"]) + n["zero"], n["lo"]), n["hi"])
    if not n["residual"]:
        return value
    total = (value - n["zero"]) * n["mul_a"] + (n["other"] - n["res_zero"]) * n["mul_b"]
    return min(max(_rounded(total, n["res_shift"]) + n["sum_zero"], n["sum_lo"]), n["sum_hi"])


PPU = Bench.__new__(Bench)


@hypothesis.settings(max_examples=400)
@hypothesis.given(lanes_settings())
def test_lane_requantizes_as_plain_integers_do(n):
    if not hasattr(PPU, "inputs"):
        PPU.__init__("ew_ppu")
    parameters = (n["bias"] & 0xFFFF_FFFF) | n["mult"] << 32 | n["shift"] << 48
    zeros = n["zero"] * n["mul_a"] + n["res_zero"] * n["mul_b"]
    given = {
        "sum": n["sum"] & 0xFFFF_FFFF,
        "par": parameters,
        "zero4": n["zero"] & 255,
        "lo": n["lo"] & 255,
        "hi": n["hi"] & 255,
        "other": n["other"] & 255,
        "mul_a": n["mul_a"],
        "mul_b": n["mul_b"],
        "zeros6": zeros & ((1 << 26) - 1),
        "shift7": n["res_shift"],
        "residual": n["residual"],
        "sum_zero": n["sum_zero"] & 255,
        "sum_lo": n["sum_lo"] & 255,
        "sum_hi": n["sum_hi"] & 255,
    }
    outs = [PPU.step(**given)["out"] for _ in range(10)]
    assert _byte(outs[-1]) == _wanted(n), "nine cycles after its sum"
