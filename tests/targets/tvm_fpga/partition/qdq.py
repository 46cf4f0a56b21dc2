"""Small ONNX graphs with QuantizeLinear and DequantizeLinear, written as a float network: ``graph.conv(x, 8, 3)``.

Every method gives the name of a float value; ``stored`` wraps one in a pair of Q and DQ. Scales are such that most
values are within the range, and no simple multiples of each other: halves are rounded up by the accelerator and to
even by ONNX. ``reference`` runs the graph in float, without any optimization.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 19


class Graph:
    def __init__(self, seed=0, dtype=np.uint8):
        self.random = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []
        self.shapes = {}

    # values

    def constant(self, values):
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind, *inputs, shape, name="", **attributes):
        out = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [out], name=name or f"{kind.lower()}_{len(self.nodes)}", **attributes)
        )
        self.shapes[out] = tuple(shape)
        return out

    def input(self, *shape, scale=0.0517, zero=None, stored=True):
        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self.shapes[name] = shape
        return self.stored(name, scale, zero) if stored else name

    def zero(self):
        """A zero point somewhere in the middle."""
        info = np.iinfo(self.dtype)
        return int(self.random.integers(info.min + 90, info.max - 90))

    @property
    def lowest(self):
        """The zero point of what is never negative."""
        return int(np.iinfo(self.dtype).min)

    def stored(self, value, scale=0.05, zero=None, dtype=None):
        dtype = np.dtype(dtype or self.dtype)
        zero = self.zero() if zero is None else zero
        numbers = self.constant(np.float32(scale)), self.constant(np.asarray(zero, dtype))
        shape = self.shapes[value]
        kept = self.node("QuantizeLinear", value, *numbers, shape=shape)
        return self.node("DequantizeLinear", kept, *numbers, shape=shape)

    def weights(self, *shape, per_channel=True, axis=0, dtype=np.int8, zero=0):
        low, high = (-127, 128) if np.dtype(dtype) == np.int8 else (1, 256)
        values = self.random.integers(low, high, shape).astype(dtype)
        outputs = shape[axis]
        scales = self.random.uniform(0.002, 0.02, outputs if per_channel else 1).astype(np.float32)
        zeros = np.full(scales.shape, zero, dtype)
        form = {"axis": axis} if per_channel else {}
        scales, zeros = (scales, zeros) if per_channel else (scales[0], zeros[0])
        return self.node(
            "DequantizeLinear", self.constant(values), self.constant(scales), self.constant(zeros), shape=shape, **form
        )

    def bias(self, count):
        values = self.random.integers(-2000, 2000, count).astype(np.int32)
        return self.node("DequantizeLinear", self.constant(values), self.constant(np.float32(0.0005)), shape=(count,))

    # operators on real values

    def conv(self, x, outputs, kernel, *, stride=1, pads=None, group=1, dilation=1, bias=True, weights=None, name=""):
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        _, channels, height, width = self.shapes[x]
        pads = pads if pads is not None else (rows // 2, columns // 2, (rows - 1) // 2, (columns - 1) // 2)
        weights = weights or self.weights(outputs, channels // group, rows, columns)
        out = [
            (size + pads[at] + pads[at + 2] - (taps - 1) * dilation - 1) // stride + 1
            for at, (size, taps) in enumerate(((height, rows), (width, columns)))
        ]
        given = [x, weights] + ([self.bias(outputs)] if bias else [])
        return self.node(
            "Conv", *given, shape=(1, outputs, *out), name=name, strides=(stride, stride), pads=pads, group=group,
            dilations=(dilation, dilation),
        )  # fmt: skip

    def depthwise(self, x, kernel, **more):
        channels = self.shapes[x][1]
        return self.conv(x, channels, kernel, group=channels, **more)

    def gemm(self, x, outputs, *, bias=True, name=""):
        given = [x, self.weights(outputs, self.shapes[x][1])] + ([self.bias(outputs)] if bias else [])
        return self.node("Gemm", *given, shape=(1, outputs), name=name, transB=1)

    def matmul(self, x, outputs):
        weights = self.weights(self.shapes[x][1], outputs, axis=1)
        product = self.node("MatMul", x, weights, shape=(1, outputs))
        return self.node("Add", self.bias(outputs), product, shape=(1, outputs))

    def same(self, kind, x, *more, name="", **attributes):
        return self.node(kind, x, *more, shape=self.shapes[x], name=name, **attributes)

    def normalized(self, x):
        count = self.shapes[x][1]
        values = [self.random.normal(0, 1, count) for _ in range(3)] + [self.random.uniform(0.5, 2, count)]
        return self.same("BatchNormalization", x, *(self.constant(each.astype(np.float32)) for each in values))

    def relu6(self, x):
        return self.same("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))

    def add(self, a, b):
        return self.same("Add", a, b)

    def concat(self, *values):
        shapes = [self.shapes[each] for each in values]
        total = sum(shape[1] for shape in shapes)
        return self.node("Concat", *values, shape=(1, total, *shapes[0][2:]), axis=1)

    def pool(self, kind, x, kernel, *, stride=None, pads=(0, 0, 0, 0), **more):
        stride = stride or kernel
        _, channels, height, width = self.shapes[x]
        out = [(size + pads[at] + pads[at + 2] - kernel) // stride + 1 for at, size in enumerate((height, width))]
        return self.node(
            kind,
            x,
            shape=(1, channels, *out),
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=pads,
            **more,
        )

    def global_average(self, x):
        return self.node("GlobalAveragePool", x, shape=(1, self.shapes[x][1], 1, 1))

    def mean(self, x, *, keepdims):
        channels = self.shapes[x][1]
        shape = (1, channels, 1, 1) if keepdims else (1, channels)
        return self.node("ReduceMean", x, self.constant(np.array([2, 3])), shape=shape, keepdims=int(keepdims))

    def flatten(self, x):
        return self.node("Flatten", x, shape=(1, int(np.prod(self.shapes[x]))))

    # the whole

    def output(self, value):
        self.outputs.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, self.shapes[value]))
        return self

    def model(self):
        graph = helper.make_graph(self.nodes, "net", self.inputs, self.outputs, self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        onnx.checker.check_model(made)
        return made

    def save(self, path):
        path.write_bytes(self.model().SerializeToString())
        return path

    def samples(self, count=4, spread=2.0):
        random = np.random.default_rng(1)
        return [
            {each.name: random.normal(0, spread, self.shapes[each.name]).astype(np.float32) for each in self.inputs}
            for _ in range(count)
        ]


def reference(model, samples, outputs=None):
    """Float results of onnxruntime with all fusions switched off."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(outputs, sample) for sample in samples]
