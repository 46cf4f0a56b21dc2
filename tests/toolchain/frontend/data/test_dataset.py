import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.frontend import DataSpec, InputSpec
from toolchain.frontend.data import DataSet, Normalisation, load_data
from toolchain.frontend.data.stores import ArrayStore

LAYOUTS = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])


def definition(raw, scale, mean, std):
    """(raw / scale - mean) / std on (samples, H, W, C), in float64."""
    return (raw.astype(np.float64) / scale - np.array(mean or (0,))) / np.array(std or (1,))


@LAYOUTS
@pytest.mark.parametrize(("mean", "std"), [((), ()), ((0.5,), (0.25,)), ((0.1, 0.2, 0.3), (0.5,)), ((), (1, 2, 3))])
def test_normalisation_against_its_definition(layout, mean, std):
    raw = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    given_raw = raw if layout == "NHWC" else raw.transpose(0, 3, 1, 2)
    spec = InputSpec((1, *given_raw.shape[1:]), layout, mean=mean, std=std)
    seen = Normalisation.of(spec, raw.dtype).apply(given_raw, layout)
    assert seen.dtype == np.float32
    expected = definition(raw, 255, mean, std)
    np.testing.assert_allclose(seen if layout == "NHWC" else seen.transpose(0, 2, 3, 1), expected, atol=2e-6)


@given(st.floats(0.01, 300), st.lists(st.floats(-5, 5), max_size=3), st.lists(st.floats(0.1, 5), max_size=1))
def test_the_map_in_raw_units_is_the_same_map(scale, mean, std):
    normalisation = Normalisation(scale, tuple(mean), tuple(std))
    raw_mean, raw_std = normalisation.raw_mean_std()
    raw = np.arange(5.0).reshape(5, 1, 1, 1)
    expected = definition(raw, scale, mean, std)
    np.testing.assert_allclose((raw - np.array(raw_mean)) / np.array(raw_std), expected, rtol=1e-9, atol=1e-9)


def test_the_default_scale_follows_the_type_of_the_raw_values():
    spec = InputSpec((1, 2), "NC")
    assert Normalisation.of(spec, np.dtype(np.uint8)).scale == 255
    assert Normalisation.of(spec, np.dtype(np.float32)).scale == 1
    assert Normalisation.of(InputSpec((1, 2), "NC", scale=16.0), np.dtype(np.uint8)).scale == 16


def make(count=10) -> DataSet:
    values = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    store = ArrayStore(values, lambda row: f"row {row}")
    spec = InputSpec((1, 2), "NC", name="features")
    return DataSet(store, np.arange(count)[::-1], np.arange(count) % 2, spec, Normalisation(1.0))


def test_batches_cover_all_rows_in_order():
    data = make(10)
    batches = list(data.batches(4))
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches])[:, 0], np.arange(18, -1, -2))
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), np.arange(10) % 2)


def test_samples_are_full_batches_by_input_name():
    samples = list(make(10).samples(4))
    assert [list(sample) for sample in samples] == [["features"]] * 2
    assert samples[0]["features"].shape == (4, 2)


def test_prefetch_reports_and_decodes_everything():
    data = load_data(DataSpec("digits"), InputSpec((1, 1, 8, 8)))
    seen = []
    data.test.prefetch(lambda done, total, text: seen.append((done, total)), chunk=100)
    assert seen[-1] == (len(data.test), len(data.test))
    assert len(seen) == -(-len(data.test) // 100)
