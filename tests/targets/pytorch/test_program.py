"""Programs: what a file keeps of a module, and that calling its operators through ``torch`` changes no bit."""

import io
import types

import numpy as np
import pytest
import torch

from profiles.errors import ModelError
from targets.pytorch.program import PLAIN, _function, layer_names, load_program, operator
from targets.pytorch.program_file import save_program


@pytest.fixture
def module(model):
    return load_program(model.pt2)


def tensors(sample):
    return [torch.from_numpy(values) for values in sample.values()]


def test_a_program_computes_the_bits_of_its_module(module, net, sample, outputs_of):
    with torch.inference_mode():
        outputs = module.forward(*tensors(sample))
    assert len(outputs) == 3, "nested outputs come out flat, in order"
    for seen, wanted in zip(outputs, outputs_of(net, sample), strict=True):
        assert np.array_equal(seen.numpy(), wanted)


def test_calling_operators_through_torch_changes_no_bit(module, model, sample):
    raw = torch.export.load(model.pt2).module()
    with torch.inference_mode():
        result = raw(*tensors(sample))
        outputs = module.forward(*tensors(sample))
    for seen, wanted in zip(outputs, (result["scores"], *result["extra"]), strict=True):
        assert torch.equal(seen, wanted)
    called = {operator(node): node.target for node in module.graph.nodes if operator(node) in PLAIN}
    assert {"conv2d", "batch_norm", "linear", "relu", "add"} <= set(called)
    assert all(isinstance(target, types.BuiltinFunctionType) for target in called.values()), called


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_every_plain_operator_has_a_function_made_from_the_same_declaration(name):
    assert isinstance(_function(name), types.BuiltinFunctionType), f"torch has no built-in function for '{name}'"
    assert hasattr(torch.ops.aten, name), f"there is no operator '{name}'"


def test_checks_of_the_exporter_are_gone(module, model):
    names = {operator(node) for node in torch.export.load(model.pt2).module(check_guards=False).graph.nodes}
    assert "_assert_tensor_metadata" in names, "without such a check in the file this test says nothing"
    assert not {name for name in map(operator, module.graph.nodes) if name.startswith("_assert")}


def test_operators_are_named_after_their_layers(module):
    names = layer_names(module)
    assert {"stem/conv2d", "norm/batch_norm", "blocks.0/conv2d", "fc/linear", "table/embedding", "relu"} <= set(
        names.values()
    )
    assert len(set(names.values())) == len(names), "names are unique"
    assert {"mul", "add", "add_2"} <= set(names.values()), "an operator that comes again gets a number"


def test_the_file_tells_neither_where_it_was_made_nor_of_what_inputs(model, sample):
    content = model.pt2.read_bytes()
    assert b"conftest.py" not in content and b"site-packages" not in content, "no paths"
    assert sample["image"].tobytes()[:64] not in content, "no example inputs"
    assert b"Conv2d" in content, "names of layers stay"


def test_equal_programs_give_equal_bytes(net, sample, model, tmp_path):
    torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))  # what ran before must not show
    with torch.no_grad():
        program = torch.export.export(net, tuple(tensors(sample)))
    save_program(program, tmp_path / "another-name.pt2")
    assert (tmp_path / "another-name.pt2").read_bytes() == model.pt2.read_bytes()


@pytest.mark.parametrize("damage", ["empty", "half", "text"])
def test_a_damaged_file_is_an_error_of_ours(model, tmp_path, damage):
    content = model.pt2.read_bytes()
    path = tmp_path / "model.pt2"
    path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "text": b"no program"}[damage])
    with pytest.raises(ModelError, match=r"program of torch\.export in model\.pt2") as caught:
        load_program(path)
    assert caught.value.seen and caught.value.next_step


def test_a_state_dict_is_no_program(net, tmp_path):
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    (tmp_path / "model.pt2").write_bytes(buffer.getvalue())
    with pytest.raises(ModelError):
        load_program(tmp_path / "model.pt2")
