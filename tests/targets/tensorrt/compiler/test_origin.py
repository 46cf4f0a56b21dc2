"""Where in the user's program a node came from."""

import runpy
from pathlib import Path

import pytest
from onnx import helper

from profiles.errors import ConfigError
from targets.tensorrt.compiler.origin import Origins, origin

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, make = nets["node"], nets["make"]
TRACE = """
File "/home/me/train.py", line 3, in main
  net(x)
File "/opt/venv/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1751, in _wrapped_call_impl
  return self._call_impl(*args, **kwargs)
File "/home/me/model.py", line 42, in forward
  x = self.odd(x)
"""
OLD = """/opt/venv/lib/python3.8/site-packages/torch/nn/f.py(9): relu
/home/me/old.py(17): forward
/home/me/train.py(3): main
"""


def made(*, doc="", **metadata):
    one = node("Relu", ["x"], ["y"], name="relu")
    one.doc_string = doc
    for key, value in metadata.items():
        one.metadata_props.add(key=key, value=value)
    return one


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (made(), ""),
        (made(scope="blocks.3"), "layer 'blocks.3'"),
        (made(**{"pkg.torch.onnx.stack_trace": TRACE}), "model.py:42: x = self.odd(x)"),
        (made(scope="a", **{"pkg.torch.onnx.stack_trace": TRACE}), "layer 'a', model.py:42: x = self.odd(x)"),
        (made(doc=OLD), "old.py:17"),
        (made(doc="a note of the author"), ""),
        (made(**{"pkg.torch.onnx.stack_trace": 'File "/usr/lib/python3.11/x.py", line 1, in y'}), ""),
    ],
)
def test_what_a_file_tells(one, words):
    assert origin(one) == words
    assert "/home" not in origin(one), "no path of any machine"


def test_nodes_are_found_by_the_names_that_compilers_give_them(tmp_path):
    inner = helper.make_graph([made(scope="deep")], "g", [], [])
    inner.node[0].name = "inner"
    choose = node("If", ["c"], ["z"], name="choose", then_branch=inner)
    path = tmp_path / "model.onnx"
    path.write_bytes(make([made(scope="plain"), choose], [], {"x": (4,)}, {"y": (4,)}).SerializeToString())
    ask = Origins(path)
    assert ask("relu") == ask("relu_0") == "layer 'plain'"
    assert ask("inner") == "layer 'deep'"
    assert ask("choose") == ask("unknown") == ""


def test_the_file_is_not_read_before_it_is_needed(tmp_path):
    ask = Origins(tmp_path / "is not there")
    with pytest.raises(ConfigError):
        ask("relu")
