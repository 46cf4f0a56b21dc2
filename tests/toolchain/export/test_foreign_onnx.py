import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, save_model

from profiles.errors import ConfigError, EdgewrightError, ModelError, UnsupportedError
from targets.onnx_tools import load_onnx
from toolchain.export.foreign import open_foreign, open_onnx
from toolchain.export.golden import with_golden


def conv(shape=(1, 3, 6, 6), out=(1, 4, 6, 6), kernel=None):
    kernel = np.ones((4, 3, 3, 3), np.float32) if kernel is None else kernel
    node = helper.make_node("Conv", ["x", "k"], ["y"], name="conv", pads=[1, 1, 1, 1])
    return build([node], [numpy_helper.from_array(kernel, "k")], shape, out)


def build(nodes, constants, shape, out, kind=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", kind, out)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@pytest.fixture
def write(tmp_path):
    def save(model, name="model.onnx"):
        save_model(model, tmp_path / name)
        return tmp_path / name

    return save


def test_a_sound_file_is_described_and_stays_where_it_is(write):
    path = write(conv())
    model = open_onnx(path)
    assert (model.name, model.onnx, model.tflite, model.precision) == ("model", path, None, "fp32")
    assert [(s.name, s.shape, s.dtype, s.layout) for s in model.inputs] == [("x", (1, 3, 6, 6), "float32", "NCHW")]
    assert [(s.name, s.shape, s.layout) for s in model.outputs] == [("y", (1, 4, 6, 6), "NCHW")]
    assert not model.golden_inputs, "reading a file does not run it"


def test_images_of_converters_from_tensorflow_have_the_channel_axis_last(write):
    node = helper.make_node("Relu", ["x"], ["y"])
    assert open_onnx(write(build([node], [], (1, 8, 8, 3), (1, 8, 8, 3)))).inputs[0].layout == "NHWC"


def test_dynamic_axes_are_refused_with_the_option_to_give(write):
    path = write(conv(("batch", 3, "height", None), ("batch", 4, "height", None)))
    with pytest.raises(ConfigError) as failure:
        open_onnx(path)
    assert failure.value.seen == "input 'x' has the dynamic axes 0 (batch), 2 (height), 3"
    assert "--input x=1x3x320x320" in failure.value.next_step


def test_fixed_shapes_are_written_to_a_file_of_their_own(write, tmp_path):
    path = write(conv(("batch", 3, "h", "w"), ("batch", 4, "h", "w")))
    before = path.read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    model = open_onnx(path, {"x": (2, 3, 8, 10)}, out)
    assert model.onnx == out / "model.onnx"
    assert path.read_bytes() == before
    assert [s.shape for s in (*model.inputs, *model.outputs)] == [(2, 3, 8, 10), (2, 4, 8, 10)]
    run = with_golden(model, samples=2)
    assert run.golden_outputs["y"].shape == (2, 2, 4, 8, 10)


def test_shapes_that_are_fixed_already_need_no_file(write):
    path = write(conv())
    assert open_onnx(path, {"x": (1, 3, 6, 6)}).onnx == path


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({"x": (3, 6, 6)}, "wanted a shape with 4 axes"),
        ({"x": (1, 5, 6, 6)}, "wanted axis 1 of the input 'x'"),
        ({"image": (1, 3, 6, 6)}, "no input of that name"),
    ],
)
def test_shapes_that_contradict_the_file_are_refused(write, fixed, words):
    with pytest.raises(ConfigError, match=words):
        open_onnx(write(conv(("n", 3, 6, 6), None)), fixed)


def test_a_shape_that_the_graph_cannot_take_is_refused(write):
    add = helper.make_node("Add", ["x", "c"], ["y"])
    constant = numpy_helper.from_array(np.zeros((4, 4), np.float32), "c")
    with pytest.raises(ConfigError, match="operators cannot take"):
        open_onnx(write(build([add], [constant], ("n", 4), ("n", 4))), {"x": (3, 4)})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_named(write, bad):
    kernel = np.ones((4, 3, 3, 3), np.float32)
    kernel[1, 2, 0, 0] = bad
    with pytest.raises(ModelError, match=r"the tensor 'k' has \d NaN and \d infinite values out of 108"):
        open_onnx(write(conv(kernel=kernel)))


def test_an_attention_mask_and_an_open_limit_may_be_infinite(write):
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    mask[np.tril_indices(4)] = 0
    nodes = [helper.make_node("Add", ["x", "mask"], ["m"]), helper.make_node("Max", ["m", "low"], ["y"])]
    constants = [numpy_helper.from_array(mask, "mask"), numpy_helper.from_array(np.float32(-np.inf), "low")]
    open_onnx(write(build(nodes, constants, (4, 4), (4, 4))))


def test_an_output_whose_shape_depends_on_the_data_is_refused(write):
    model = build([helper.make_node("NonZero", ["x"], ["y"])], [], (2, 2), None, TensorProto.INT64)
    with pytest.raises(UnsupportedError, match="wanted a fixed shape for the output 'y'"):
        open_onnx(write(model))


def test_the_shape_of_an_output_is_inferred_where_the_file_leaves_it_open(write):
    assert open_onnx(write(conv(out=("a", "b", "c", "d")))).outputs[0].shape == (1, 4, 6, 6)


def test_texts_are_no_inputs(write):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.STRING, (1,))],
        [helper.make_tensor_value_info("y", TensorProto.STRING, (1,))],
    )
    with pytest.raises(UnsupportedError, match="wanted numbers as 'x'"):
        open_onnx(write(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)))


def test_an_invalid_graph_is_a_model_error(write):
    model = conv()
    model.graph.node[0].input[1] = "nowhere"
    with pytest.raises(ModelError, match="nowhere"):
        open_onnx(write(model))


def test_external_weights_are_found_and_missing_ones_named(tmp_path):
    path = tmp_path / "model.onnx"
    save_model(conv(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert open_onnx(path).onnx == path
    with_golden(open_onnx(path), samples=1)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights\.bin"):
        open_onnx(path)


def test_external_weights_come_into_the_rewritten_file(tmp_path):
    path, out = tmp_path / "model.onnx", tmp_path / "out"
    out.mkdir()
    save_model(conv(("n", 3, 6, 6), None), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    model = open_onnx(path, {"x": (1, 3, 6, 6)}, out)
    assert [file.name for file in out.iterdir()] == ["model.onnx"]
    assert np.array_equal(numpy_helper.to_array(load_onnx(model.onnx).graph.initializer[0]), np.ones((4, 3, 3, 3)))


def test_quantized_and_half_precision_models_say_so(write):
    scale, zero = numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.int8(0), "z")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    assert open_onnx(write(build(nodes, [scale, zero], (1, 4), (1, 4)))).precision == "int8"
    half = numpy_helper.from_array(np.ones(4, np.float16), "h")
    casts = [
        helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT16),
        helper.make_node("Add", ["c", "h"], ["a"]),
        helper.make_node("Cast", ["a"], ["y"], to=TensorProto.FLOAT),
    ]
    assert open_onnx(write(build(casts, [half], (1, 4), (1, 4)))).precision == "fp16"


def test_files_that_are_no_model(tmp_path):
    for content, words in (
        (b"", "an empty file"),
        (b"\x89PNG\r\n", "cannot be decoded"),
        (b"\x08\x09", "without a graph"),
    ):
        (tmp_path / "odd.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=words):
            open_onnx(tmp_path / "odd.onnx")
    with pytest.raises(ConfigError, match="no such file"):
        open_onnx(tmp_path / "missing.onnx")
    with pytest.raises(ConfigError, match="a folder"):
        open_onnx(tmp_path)
    with pytest.raises(ConfigError, match=r"the suffix '\.pb'"):
        open_foreign(tmp_path / "model.pb")


SOUND = conv(("n", 3, 6, 6), ("n", 4, 6, 6)).SerializeToString()


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
    path = Path(tmp_path / "damaged.onnx")
    path.write_bytes(content)
    try:
        open_onnx(path)
    except EdgewrightError as error:
        assert error.wanted
        assert error.seen, "the error says what was seen"


def test_the_file_behind_the_damaged_ones_is_sound_but_dynamic(tmp_path):
    (tmp_path / "m.onnx").write_bytes(SOUND)
    onnx.checker.check_model(onnx.load_model_from_string(SOUND), full_check=True)
    with pytest.raises(ConfigError, match="dynamic axis 0"):
        open_onnx(tmp_path / "m.onnx")
