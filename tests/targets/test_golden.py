"""Golden samples: equal bytes for equal arrays, damage noticed, comparisons that mean something."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from profiles.errors import OutputError, VerificationError
from targets.golden import (
    Golden,
    check_golden,
    largest_error,
    load_golden,
    save_arrays,
    save_golden,
    sqnr_db,
    tolerances,
)

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
STACKS = hnp.arrays(
    st.sampled_from([np.float32, np.float16, np.int8, np.uint8, np.int64, np.bool_]),
    hnp.array_shapes(min_dims=1, max_dims=4, max_side=3),
)
GROUPS = st.dictionaries(NAMES, STACKS, max_size=3)


def small():
    return Golden(
        {"x": np.arange(60, dtype=np.float32).reshape(3, 20)},
        {"y": np.full((3, 4), 7, np.int8)},
        {"y": np.full((3, 4), 0.5, np.float32)},
    )


def equal(first, second):
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype
        and np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f")
        for name in first
    )


@settings(deadline=None)
@given(GROUPS, GROUPS, GROUPS)
def test_what_is_saved_is_loaded(tmp_path_factory, inputs, outputs, reference):
    path = tmp_path_factory.mktemp("golden") / "golden.npz"
    save_golden(path, Golden(inputs, outputs, reference))
    loaded = load_golden(path)
    assert equal(loaded.inputs, inputs)
    assert equal(loaded.outputs, outputs)
    assert equal(loaded.reference, reference)


def test_equal_arrays_give_equal_bytes(tmp_path, monkeypatch):
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    golden = small()
    inputs = {"b": golden.inputs["x"], "a": golden.inputs["x"].T}
    save_golden(one, Golden(inputs, golden.outputs, golden.reference))
    monkeypatch.setattr(time, "time", lambda: 1e9)
    turned = {"a": inputs["a"].copy(order="C"), "b": np.asfortranarray(inputs["b"])}
    save_golden(two, Golden(turned, golden.outputs, golden.reference))
    assert one.read_bytes() == two.read_bytes(), "neither the clock, memory order nor the order of names may show"


def test_names_that_numpys_own_savez_cannot_take(tmp_path):
    arrays = {name: np.arange(3) for name in ("file", "allow_pickle", "serving_default_x:0", "a/b", "arr_0")}
    save_arrays(tmp_path / "no suffix", arrays)
    with np.load(tmp_path / "no suffix") as archive:
        assert {name: archive[name].tolist() for name in archive.files} == {name: [0, 1, 2] for name in arrays}


def test_samples_and_their_number():
    golden = small()
    assert len(golden) == 3
    assert golden.sample(1)["x"].tolist() == list(range(20, 40))
    assert len(Golden({}, {}, {})) == 0


def test_no_damage_gives_other_arrays(tmp_path):
    """A lost entry in the zip's directory is the manifest's to notice, which has the whole file's hash."""
    path, golden = tmp_path / "golden.npz", small()
    save_golden(path, golden)
    raw = path.read_bytes()
    noticed = 0
    for place in range(len(raw)):
        broken = bytearray(raw)
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        try:
            loaded = load_golden(path)
        except VerificationError as error:
            assert "golden.npz" in error.wanted
            noticed += 1
            continue
        pairs = ((loaded.inputs, golden.inputs), (loaded.outputs, golden.outputs), (loaded.reference, golden.reference))
        for seen, wanted in pairs:
            assert equal(seen, {name: wanted[name] for name in seen}), f"byte {place} changed an array unseen"
    assert noticed > len(raw) / 2, "most bytes of the archive are data, names or checksums"


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"\x93NUMPY\x01\x00v\x00", b"\x80\x04K\x01.", b"text", None, "folder", "strange group", "pickle"],
)
def test_what_is_no_golden_file(tmp_path, content):
    path = tmp_path / "golden.npz"
    if content == "folder":
        path.mkdir()
    elif content == "strange group":
        save_arrays(path, {"other/x": np.zeros(1)})
    elif content == "pickle":
        np.savez(path, **{"input/x": np.array([{}], dtype=object)})
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(VerificationError, match=r"wanted golden samples in golden\.npz"):
        load_golden(path)


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        save_golden(tmp_path / "no" / "such" / "folder.npz", small())


def test_tolerance_is_a_share_of_the_largest_magnitude():
    outputs = {"y": np.array([[1.0, -50.0]], np.float32)}
    assert tolerances(outputs, "fp32")["y"] == pytest.approx(50 * 1e-4 + 1e-6)
    assert tolerances(outputs, "fp32")["y"] < tolerances(outputs, "fp16")["y"] < tolerances(outputs, "bf16")["y"]
    assert tolerances({"y": np.array([100], np.int8)}, "int8") == {"y": 2.0}, "integers: two quantization steps"
    assert tolerances({"y": np.array([100], np.int64)}, "int8") == {"y": 0.0}, "an index must agree"
    assert tolerances({"y": np.zeros((0, 3), np.float32)}, "fp32") == {"y": pytest.approx(1e-6)}


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_outputs_that_are_not_finite_have_no_tolerance(value, word):
    with pytest.raises(VerificationError, match="output 'y' must be finite") as caught:
        tolerances({"y": np.array([1.0, value], np.float32)}, "fp32")
    assert caught.value.seen == word


@given(
    hnp.arrays(np.float64, 5, elements=st.floats(-1e6, 1e6)), hnp.arrays(np.float64, 5, elements=st.floats(-1e6, 1e6))
)
def test_largest_error_by_hand(seen, wanted):
    by_hand = max(abs(float(a) - float(b)) for a, b in zip(seen, wanted, strict=True))
    assert largest_error({"y": seen}, {"y": wanted}) == {"y": by_hand}


def test_integers_are_compared_without_wrapping():
    assert largest_error({"y": np.array([255], np.uint8)}, {"y": np.array([0], np.uint8)}) == {"y": 255.0}
    assert largest_error({"y": np.array([-128], np.int8)}, {"y": np.array([127], np.int8)}) == {"y": 255.0}


@pytest.mark.parametrize(
    "seen",
    [{}, {"y": np.zeros((2, 1))}, {"y": np.zeros(3)}, {"y": np.array([0.0, np.nan])}, {"y": np.array([0.0, np.inf])}],
)
def test_what_cannot_be_compared_is_infinitely_wrong(seen):
    assert largest_error(seen, {"y": np.zeros(2)}) == {"y": float("inf")}
    with pytest.raises(VerificationError, match="output 'y' must equal the golden one"):
        check_golden(seen, {"y": np.zeros(2)}, {"y": 1e30}, "here")


def test_check_golden_draws_the_line_at_the_tolerance():
    expected = {"a": np.array([1.0]), "b": np.array([2.0])}
    assert check_golden({"a": np.array([1.5]), "b": np.array([2.0])}, expected, {"a": 0.5, "b": 0.0}, "here") == 0.5
    with pytest.raises(VerificationError, match="on the moon: output 'b'") as caught:
        check_golden({"a": np.array([1.0]), "b": np.array([2.25])}, expected, {"a": 0.5, "b": 0.2}, "on the moon")
    assert caught.value.seen == "largest difference 0.25"
    assert caught.value.allowed == "at most 0.2"
    with pytest.raises(VerificationError):
        check_golden(
            {"a": np.array([1.1]), "b": np.array([2.0])}, expected, {"b": 0.0}, "a tolerance that is missing is 0"
        )


def test_sqnr_on_known_ratios():
    reference = np.array([3.0, 4.0])
    assert sqnr_db(reference, np.array([3.0, 4.5])) == pytest.approx(20.0), "25 over 0.25 is 100, which is 20 dB"
    assert sqnr_db(reference, np.array([0.0, 0.0])) == pytest.approx(0.0)
    assert sqnr_db(reference, reference) is None, "no noise"
    assert sqnr_db(np.zeros(2), reference) is None, "no signal"


@given(st.floats(0.01, 0.3), st.integers(1, 1000))
def test_sqnr_falls_by_the_noise(share, scale):
    reference = np.array([1.0, -2.0, 3.0]) * scale
    assert sqnr_db(reference, reference * (1 - share)) == pytest.approx(-20 * np.log10(share), abs=1e-6)
