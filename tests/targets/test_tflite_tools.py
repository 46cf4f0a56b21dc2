import runpy
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from profiles.errors import ConfigError, ModelError
from targets.tflite_tools import (
    constants,
    dynamic_axes,
    is_quantized,
    parameter_count,
    parse_tflite,
    read_tflite,
    rename_tensors,
    tensor_values,
    weights_bytes,
)

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_tflite.py")))
MLPERF = Path(__file__).parents[2].parent / "shared" / "models" / "mlperf_tiny"
MODELS = ["ic_resnet8_float", "ic_resnet8_int8", "kws_dscnn_float", "kws_dscnn_int8"]


def mlperf(name):
    path = MLPERF / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"the MLPerf Tiny model {path.name} is not there: these checks against real files did not run")
    return path


def parsed(data):
    return parse_tflite(data, Path("tiny.tflite"))


@pytest.mark.parametrize("name", MODELS)
def test_tensors_agree_with_what_the_interpreter_reports(name):
    path = mlperf(name)
    interpreter = Interpreter(str(path), experimental_preserve_all_tensors=False)
    known = {t.index: t for t in read_tflite(path).tensors}
    details = [d for d in interpreter.get_tensor_details() if d["index"] in known]
    assert len(details) == len(known), "every tensor of the file is a tensor of the interpreter"
    for detail in details:
        tensor, parameters = known[detail["index"]], detail["quantization_parameters"]
        assert tensor.name == detail["name"]
        assert tensor.shape == tuple(detail["shape"]), tensor.name
        assert tensor.signature == tuple(detail["shape_signature"]), tensor.name
        assert np.dtype(tensor.dtype) == detail["dtype"], tensor.name
        assert np.array_equal(np.float32(tensor.scale), parameters["scales"]), f"scales of {tensor.name}"
        assert np.array_equal(tensor.zero_point, parameters["zero_points"]), f"zero points of {tensor.name}"


@pytest.mark.parametrize("name", MODELS)
def test_operators_agree_with_what_the_interpreter_reports(name):
    path = mlperf(name)
    details = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)._get_ops_details()
    seen = [(op.op, op.inputs, op.outputs) for op in read_tflite(path).operators]
    wanted = [(d["op_name"], tuple(d["inputs"]), tuple(d["outputs"])) for d in details]
    assert seen == wanted


@pytest.mark.parametrize("name", MODELS)
def test_constants_hold_the_values_that_the_interpreter_holds(name):
    path = mlperf(name)
    data, interpreter = path.read_bytes(), Interpreter(str(path))
    compared = 0
    for tensor in constants(read_tflite(path)):
        values = tensor_values(tensor, data)
        assert np.array_equal(values, interpreter.get_tensor(tensor.index)), f"values of {tensor.name}"
        compared += 1
    assert compared > 10, "a real model has more than ten constants"


def test_int8_resnet_is_quantized_and_its_float_twin_has_as_many_parameters():
    int8, float32 = (read_tflite(mlperf(f"ic_resnet8_{kind}")) for kind in ("int8", "float"))
    assert is_quantized(int8)
    assert not is_quantized(float32)
    assert parameter_count(int8) == parameter_count(float32)
    assert weights_bytes(int8) < weights_bytes(float32) / 3, "int8 weights take about a quarter"


def test_weights_that_only_are_stored_as_integers_do_not_make_a_model_quantized():
    assert not is_quantized(read_tflite(mlperf("kws_dscnn_float"))), "this file has int8 weights and float arithmetic"


def test_counts_of_a_model_made_by_hand():
    model = parsed(tiny["float_model"]())
    assert parameter_count(model) == 12 + 3
    assert weights_bytes(model) == 4 * (12 + 3)
    assert [op.op for op in model.operators] == ["FULLY_CONNECTED"]
    assert model.operators[0].inputs == (0, 1, 2)


def test_a_buffer_that_two_tensors_share_counts_once():
    made = tiny["unpack"](tiny["float_model"]())
    made.subgraphs[0].tensors.append(tiny["tensor"]("again", (3, 4), 1))
    model = parsed(tiny["pack"](made))
    assert len(model.tensors) == 5
    assert weights_bytes(model) == 4 * (12 + 3)


def test_inputs_and_outputs_take_the_names_of_the_signature():
    model = parsed(tiny["float_model"](signature=("image", "scores")))
    assert ([io.name for io in model.inputs], [io.name for io in model.outputs]) == (["image"], ["scores"])
    assert model.signature == "serving_default"


def test_without_a_signature_they_take_the_names_of_their_tensors():
    model = parsed(tiny["float_model"]())
    assert ([io.name for io in model.inputs], [io.name for io in model.outputs]) == (["first_x"], ["last_y"])


def test_one_tensor_listed_twice_as_output_keeps_both_names():
    made = tiny["unpack"](tiny["float_model"](signature=("image", "first")))
    made.subgraphs[0].outputs = [3, 3]
    made.signatureDefs[0].outputs.append(tiny["tensor_map"]("second", 3))
    names = [io.name for io in parsed(tiny["pack"](made)).outputs]
    assert sorted(names) == ["first", "second"]


def test_a_signature_that_misses_an_input_is_not_used():
    made = tiny["unpack"](tiny["float_model"](signature=("image", "scores")))
    made.signatureDefs[0].inputs[0].tensorIndex = 1
    assert [io.name for io in parsed(tiny["pack"](made)).inputs] == ["first_x"]


def test_open_axes_are_listed():
    assert dynamic_axes(parsed(tiny["float_model"](open_axes=[-1, 4]))) == {"first_x": (0,)}
    assert dynamic_axes(parsed(tiny["float_model"]())) == {}


def test_custom_operators_show_their_own_code():
    made = tiny["unpack"](tiny["float_model"]())
    code = made.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = 32
    code.customCode = "MyOwnOp"
    operator = parsed(tiny["pack"](made)).operators[0]
    assert (operator.op, operator.custom) == ("MyOwnOp", True)


def test_renaming_changes_names_and_nothing_else(tmp_path):
    data = tiny["float_model"]()
    renamed = rename_tensors(data, {"first_x": "x", "weights": "w", "nothing": "n"})
    assert len(renamed) == len(data)
    before, after = parsed(data), parsed(renamed)
    assert [t.name for t in after.tensors] == ["x", "w", "bias", "last_y"]
    assert [(t.shape, t.data, t.size) for t in after.tensors] == [(t.shape, t.data, t.size) for t in before.tensors]
    (tmp_path / "renamed.tflite").write_bytes(renamed)
    names = [d["name"] for d in Interpreter(str(tmp_path / "renamed.tflite")).get_input_details()]
    assert names == ["x"], "LiteRT's own verifier and interpreter take the renamed file"


def test_a_longer_name_is_refused():
    with pytest.raises(ValueError, match="longer than"):
        rename_tensors(tiny["float_model"](), {"first_x": "a_much_longer_name"})


def test_a_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_tflite(tmp_path / "nothing.tflite")


def test_another_format_is_a_model_error(tmp_path):
    path = tmp_path / "text.tflite"
    path.write_text("this is no model at all")
    with pytest.raises(ModelError, match="file identifier"):
        read_tflite(path)
