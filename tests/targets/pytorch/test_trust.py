"""Files that could run code are refused before PyTorch sees them."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch

from profiles.errors import ModelError
from targets.pytorch.program import load_program
from targets.pytorch.trust import check_trust

MODEL = "archive/models/model.json"


@pytest.fixture
def changed(model, tmp_path):
    """``changed(more, edit)``: the program with further files, and its graph edited."""

    def made(more=(), edit=lambda data: None):
        path = tmp_path / "model.pt2"
        with zipfile.ZipFile(model.pt2) as old, zipfile.ZipFile(path, "w") as new:
            for info in old.infolist():
                content = old.read(info)
                if info.filename == MODEL:
                    data = json.loads(content)
                    edit(data)
                    content = json.dumps(data).encode()
                if info.filename not in dict(more):
                    new.writestr(info.filename, content)
            for name, content in dict(more).items():
                new.writestr(name, content)
        return path

    return made


def test_what_we_write_is_let_through(model, changed, sample):
    check_trust(model.pt2)
    with torch.inference_mode():
        outputs = [
            load_program(path).forward(*(torch.from_numpy(values) for values in sample.values()))[0]
            for path in (model.pt2, changed())
        ]
    assert np.array_equal(*outputs), "the changes of these tests are what makes the difference"


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code from the file was run",))


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("archive/data/constants/opaque_obj_0", "a pickled object"),
        ("archive/data/constants/custom_obj_0", "a pickled object"),
        ("archive/data/sample_inputs/model.pt", "pickled example inputs"),
        ("archive/data/aotinductor/model/x.so", "compiled code"),
    ],
)
def test_objects_and_libraries_are_refused(changed, name, seen):
    with pytest.raises(ModelError, match="nothing but tensors and PyTorch's operators") as caught:
        load_program(changed({name: pickle.dumps(Bomb())}))
    assert caught.value.seen.startswith(seen) and name.partition("/")[2] in caught.value.seen


@pytest.mark.parametrize(
    "target",
    [
        *("torch.load", "torch.hub.load", "torch.ops.load_library", "torch.ops.load_library.__call__"),
        *("torch.ops.aten.__class__", "torch.ops.aten.conv2d.__globals__", "_operator.methodcaller", "math.sqrt"),
    ],
)
def test_functions_that_are_no_operators_are_refused(changed, target):
    def edit(data):
        data["graph_module"]["graph"]["nodes"][0]["target"] = target

    with pytest.raises(ModelError) as caught:
        check_trust(changed(edit=edit))
    assert caught.value.seen == f"a function that is no operator: {target}"


@pytest.mark.parametrize(
    "target", ["torch.ops.aten.add.Tensor", "torch.ops.aten.__and__.Tensor", "torch.ops.aten._softmax.default"]
)
def test_operators_are_let_through(changed, target):
    def edit(data):
        data["graph_module"]["graph"]["nodes"][0]["target"] = target

    check_trust(changed(edit=edit))


def test_pickled_tensors_and_expressions_are_refused(changed, model):
    name = "archive/data/weights/model_weights_config.json"
    with zipfile.ZipFile(model.pt2) as archive:
        weights = json.loads(archive.read(name))
    next(iter(weights["config"].values()))["use_pickle"] = True
    with pytest.raises(ModelError) as caught:
        check_trust(changed({name: json.dumps(weights)}))
    assert caught.value.seen == "a pickled tensor: weight_0"

    def edit(data):
        data["range_constraints"] = {"s0": {"expr_str": "__import__('os')"}}

    with pytest.raises(ModelError) as caught:
        check_trust(changed(edit=edit))
    assert caught.value.seen == "a shape that is computed: __import__('os')"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_entry_of_one_name_is_refused(changed):
    path = changed()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MODEL, b"{}")
    with pytest.raises(ModelError) as caught:
        check_trust(path)
    assert caught.value.seen == "two entries of one name", "two readers may each take another one"


def test_what_torch_pickles_is_found_where_torch_puts_it(tmp_path):
    """With PyTorch's own writer: example inputs, which it saves as a pickle, and a shape left open."""
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(3, 2),))
    torch.export.save(program, tmp_path / "inputs.pt2")
    with pytest.raises(ModelError) as caught:
        check_trust(tmp_path / "inputs.pt2")
    assert "example inputs" in caught.value.seen
    open_shape = {"input": {0: torch.export.Dim("batch", min=2, max=8)}}
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(3, 2),), dynamic_shapes=open_shape)
    program.example_inputs = None
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    (tmp_path / "open.pt2").write_bytes(buffer.getvalue())
    with pytest.raises(ModelError) as caught:
        check_trust(tmp_path / "open.pt2")
    assert "a shape that is computed" in caught.value.seen
