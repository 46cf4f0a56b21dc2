"""Int8 TFLite files: every layer equals LiteRT's reference kernels to one step of the last bit."""

from pathlib import Path

import numpy as np
import pytest
import tfl
from agreement import SMALL

from profiles.errors import ConfigError, ModelError, UnsupportedError
from targets.tvm_fpga.compiler.reference import run_layer
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.load import load_module
from targets.tvm_fpga.partition.partition import partition

MLPERF = Path(__file__).parents[4].parent / "shared" / "models" / "mlperf_tiny"


def plain(path):
    net = tfl.Net(1, 9, 8, 3)
    x = net.conv(net.input, 8, 3, stride=2, act="RELU", scale=0.11, zero=-128)
    x = net.conv(x, 8, 3, depthwise=True, act="RELU6", scale=0.05, zero=-128)
    x = net.conv(x, 16, 1, scale=0.21, zero=11)
    y = net.conv(x, 16, 3, depthwise=True, scale=0.33)
    x = net.add(x, y, act="RELU")
    x = net.pool("AVERAGE_POOL_2D", x, 2)
    return net.save(path, net.softmax(net.dense(net.reshape(x, 1, 2 * 2 * 16), 10)))


def other(path):
    """Padding of its own, pools, a mean, a concatenation."""
    net = tfl.Net(1, 12, 12, 4)
    x = net.conv(net.pad(net.input, 1), 8, 3, stride=2, same=False)
    x = net.concat(net.pool("MAX_POOL_2D", x, 2), net.pool("AVERAGE_POOL_2D", x, 2))
    x = net.conv(x, 6, 5, scale=1.1)
    return net.save(path, net.dense(net.mean(x, keep=False), 7, scale=0.4))


def kept(path):
    net = tfl.Net(1, 6, 6, 4)
    x = net.mean(net.conv(net.input, 8, 3), keep=True)
    return net.save(path, net.dense(net.reshape(x, 1, 8), 5, scale=0.2))


def layers(path, geometry=SMALL, count=4):
    """Worst difference, share of differences, and the split; each layer is given the reference's own inputs."""
    parted, reference = partition(load_module(path), geometry), tfl.Reference(path)
    assert len(parted.regions) == 1
    worst, differ, total = 0, 0, 0
    for image in reference.images(count):
        reference.run(image)
        made = {"input0": image[0]}
        for layer in parted.regions[0].region.layers:
            given = [value_of(tensor, made, reference) for tensor in layer.sources]
            off = run_layer(layer, *given).astype(int)
            wanted = value_of(layer.out, made, reference)[..., layer.at : layer.at + layer.outputs]
            off = off - wanted
            worst, differ, total = max(worst, np.abs(off).max()), differ + np.sum(off != 0), total + off.size
    return worst, differ / total, parted.split


def value_of(tensor, made, reference):
    return made[tensor.name] if tensor.name in made else reference.tensor(tensor.name, tensor.shape)


def on_host(split):
    return [each.op for each in split.operators if not each.accelerated]


@pytest.mark.parametrize(
    ("build", "host"), [(plain, ["Transpose", "Softmax"]), (other, ["Transpose"]), (kept, ["Transpose"])]
)
def test_layers(tmp_path, build, host):
    worst, share, split = layers(build(tmp_path / "net.tflite"))
    assert worst <= 1, f"a layer differs by {worst} steps of the last bit"
    assert share < 0.02, f"{share:.1%} of the numbers differ"
    assert [kind for kind in on_host(split) if kind != "Identity"] == host


@pytest.mark.parametrize("name", ["ic_resnet8", "kws_dscnn"])
def test_mlperf_tiny(name):
    path = MLPERF / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    worst, share, split = layers(path, Geometry(), count=1)
    assert worst <= 1 and share < 0.005
    assert on_host(split) == ["Transpose", "Softmax"]


def test_a_missing_file_and_garbage(tmp_path):
    for name in ("net.tflite", "net.onnx"):
        with pytest.raises(ConfigError, match="wanted to read the model"):
            load_module(tmp_path / name)
        (tmp_path / name).write_bytes(b"not a model at all, and long enough to be one")
        with pytest.raises(ModelError, match="wanted a"):
            load_module(tmp_path / name)


def test_an_operator_without_a_counterpart(tmp_path):
    net = tfl.Net(1, 4, 4, 4)
    out = net.tensor((1, 4, 4, 4), scale=0.05)
    net.op("HARD_SWISH", (net.input,), out)
    with pytest.raises(UnsupportedError, match="HARD_SWISH"):
        load_module(net.save(tmp_path / "net.tflite", out))
