import random
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import ConfigError, EdgewrightError, ModelError, UnsupportedError
from toolchain.export.foreign import open_foreign, open_tflite

ROOT = Path(__file__).parents[3]
MLPERF = ROOT.parent / "shared" / "models" / "mlperf_tiny"
tiny = runpy.run_path(str(ROOT / "tests" / "targets" / "tiny_tflite.py"))


@pytest.fixture
def write(tmp_path):
    def save(data, name="model.tflite"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return save


def mlperf(name):
    path = MLPERF / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"the MLPerf Tiny model {path.name} is not there: this check against a real file did not run")
    return path


@pytest.mark.parametrize(
    ("name", "shape", "classes", "scaling"),
    [
        ("ic_resnet8_int8", (1, 32, 32, 3), 10, (1.0, -128)),
        ("kws_dscnn_int8", (1, 49, 10, 1), 12, (0.5847029089927673, 83)),
        ("ic_resnet8_float", (1, 32, 32, 3), 10, (None, None)),
        ("kws_dscnn_float", (1, 49, 10, 1), 12, (None, None)),
    ],
)
def test_the_mlperf_tiny_models_open_with_nothing_but_their_file(name, shape, classes, scaling):
    model = open_foreign(mlperf(name))
    (taken,), (given_out,) = model.inputs, model.outputs
    assert (taken.shape, taken.dtype, taken.layout) == (shape, "float32", "NHWC"), "canonical values are real ones"
    assert (taken.scale, taken.zero_point) == scaling
    assert (given_out.shape, given_out.dtype, given_out.layout) == ((1, classes), "float32", "NC")
    assert model.precision == ("int8" if scaling[0] else "fp32")
    assert model.tflite_channel_last == (), "the file's layout is the canonical one"
    assert "batch" in model.notes, "the open batch axis is mentioned"


def test_integer_weights_under_float_arithmetic_are_mentioned():
    assert open_tflite(mlperf("kws_dscnn_float")).notes["weights"] == "stored as integers, computed in floating point"
    assert "weights" not in open_tflite(mlperf("ic_resnet8_float")).notes


def test_an_open_axis_other_than_the_batch_is_refused_until_it_is_confirmed(write):
    path = write(tiny["float_model"](open_axes=[1, -1]))
    with pytest.raises(ConfigError) as failure:
        open_tflite(path)
    assert failure.value.seen == "input 'first_x' has the dynamic axis 1"
    assert "--input first_x=1x4" in failure.value.next_step
    assert open_tflite(path, {"first_x": (1, 4)}).inputs[0].shape == (1, 4)


def test_another_shape_than_the_stored_one_is_refused(write):
    path = write(tiny["float_model"](open_axes=[-1, 4]))
    with pytest.raises(ConfigError, match=r"1x4, the shape stored in the TFLite file"):
        open_tflite(path, {"first_x": (2, 4)})
    with pytest.raises(ConfigError, match="did you mean 'first_x'"):
        open_tflite(path, {"firstx": (1, 4)})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(write, bad):
    weights = tiny["WEIGHTS"].copy()
    weights[1, 1] = bad
    with pytest.raises(ModelError, match=r"the tensor 'weights' has \d NaN and \d infinite values out of 12"):
        open_tflite(write(tiny["float_model"](weights=weights)))


def test_an_input_without_a_usable_scale_is_refused(write):
    with pytest.raises(ModelError, match="wanted one positive quantization scale for 'x'"):
        open_tflite(write(tiny["quantized_model"](scale_in=0.0)))


def test_texts_are_no_inputs(write):
    made = tiny["unpack"](tiny["float_model"]())
    made.subgraphs[0].tensors[0].type = 5
    with pytest.raises(UnsupportedError, match="wanted numbers as 'first_x'"):
        open_tflite(write(tiny["pack"](made)))


def test_files_that_are_no_model(tmp_path, write):
    with pytest.raises(ModelError, match="an empty file"):
        open_tflite(write(b""))
    with pytest.raises(ModelError, match="no TFLite file"):
        open_tflite(write(b"<!DOCTYPE html><html>not found</html>"))
    with pytest.raises(ModelError, match="wanted a sound TFLite model"):
        open_tflite(write(tiny["float_model"]()[:300]))
    with pytest.raises(ConfigError, match="no such file"):
        open_tflite(tmp_path / "missing.tflite")


SOUND = tiny["float_model"](signature=("image", "scores"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from(["cut", "flip", "drop"]))
def test_a_damaged_file_opens_or_gives_a_clear_error(tmp_path, seed, how):
    generator, content = random.Random(seed), bytearray(SOUND)
    place = generator.randrange(len(content))
    if how == "cut":
        del content[place:]
    elif how == "drop":
        del content[place : place + generator.randrange(1, 30)]
    else:
        for _ in range(generator.randrange(1, 6)):
            content[generator.randrange(len(content))] = generator.randrange(256)
    path = tmp_path / "damaged.tflite"
    path.write_bytes(content)
    try:
        open_tflite(path)
    except EdgewrightError as error:
        assert error.wanted
        assert error.seen, "the error says what was seen"
