"""Small int8 TFLite networks, packed with the schema's object API, and what LiteRT's reference kernels compute."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ACTIVATION, PADDING = schema.ActivationFunctionType, schema.Padding

_OPS = schema.BuiltinOperator
#: Of operators, where it is not 2.
VERSIONS = {_OPS.CONV_2D: 3, _OPS.DEPTHWISE_CONV_2D: 3, _OPS.FULLY_CONNECTED: 4, _OPS.RESHAPE: 1, _OPS.HARD_SWISH: 1}


class Net:
    """Tensors are named t0, t1, … as they are added, and operators return the number of their result."""

    def __init__(self, *shape, scale=0.043, zero=-7, seed=2):
        self.random = np.random.default_rng(seed)
        self.tensors, self.buffers, self.operators, self.codes = [], [schema.BufferT()], [], []
        self.input = self.tensor(shape, scale=scale, zero=zero)

    def tensor(self, shape, *, data=None, dtype="int8", scale=None, zero=0, axis=0):
        made = schema.TensorT()
        made.name, made.shape = f"t{len(self.tensors)}", [int(size) for size in shape]
        made.type = getattr(schema.TensorType, dtype.upper())
        made.buffer = 0
        if data is not None:
            made.buffer = len(self.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(data, dtype).tobytes(), np.uint8)
            self.buffers.append(buffer)
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            made.quantization.zeroPoint = np.full(made.quantization.scale.shape, zero, np.int64)
            made.quantization.quantizedDimension = axis
        self.tensors.append(made)
        return len(self.tensors) - 1

    def shape(self, number):
        return tuple(self.tensors[number].shape)

    def scale(self, number):
        return self.tensors[number].quantization.scale

    def op(self, kind, inputs, output, table=None, **options):
        made = schema.OperatorT()
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        made.opcodeIndex, made.inputs, made.outputs = self.codes.index(code), list(inputs), [output]
        if table:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            made.builtinOptions = getattr(schema, f"{table}T")()
            for name, value in options.items():
                setattr(made.builtinOptions, name, value)
        self.operators.append(made)
        return output

    def weights(self, shape, axis):
        scale = self.random.uniform(0.003, 0.02, shape[axis])
        return self.tensor(shape, data=self.random.integers(-127, 128, shape), scale=scale, axis=axis)

    def bias(self, x, weights, count):
        values = self.random.integers(-900, 900, count)
        return self.tensor((count,), data=values, dtype="int32", scale=self.scale(x) * self.scale(weights))

    # operators

    def conv(self, x, outputs, kernel, *, stride=1, same=True, act="NONE", scale=0.31, zero=5, depthwise=False):
        _, rows, columns, channels = self.shape(x)
        shape = (1, kernel, kernel, channels) if depthwise else (outputs, kernel, kernel, channels)
        weights = self.weights(shape, 3 if depthwise else 0)
        size = [-(-n // stride) if same else (n - kernel) // stride + 1 for n in (rows, columns)]
        out = self.tensor((1, *size, channels if depthwise else outputs), scale=scale, zero=zero)
        kind, table = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
        options = {"depthMultiplier": 1} if depthwise else {}
        bias = self.bias(x, weights, len(self.scale(weights)))
        return self.op(
            kind, (x, weights, bias), out, table, strideH=stride, strideW=stride, dilationHFactor=1,
            dilationWFactor=1, padding=PADDING.SAME if same else PADDING.VALID,
            fusedActivationFunction=getattr(ACTIVATION, act), **options,
        )  # fmt: skip

    def pool(self, kind, x, kernel, *, same=False):
        _, rows, columns, channels = self.shape(x)
        size = [-(-n // kernel) if same else n // kernel for n in (rows, columns)]
        quant = self.tensors[x].quantization
        out = self.tensor((1, *size, channels), scale=quant.scale, zero=quant.zeroPoint[0])
        return self.op(
            kind, (x,), out, "Pool2DOptions", filterHeight=kernel, filterWidth=kernel, strideH=kernel, strideW=kernel,
            padding=PADDING.SAME if same else PADDING.VALID,
        )  # fmt: skip

    def mean(self, x, *, keep):
        channels = self.shape(x)[3]
        out = self.tensor((1, 1, 1, channels) if keep else (1, channels), scale=0.037, zero=3)
        axes = self.tensor((2,), data=[1, 2], dtype="int32")
        return self.op("MEAN", (x, axes), out, "ReducerOptions", keepDims=keep)

    def add(self, x, y, *, act="NONE"):
        out = self.tensor(self.shape(x), scale=0.41, zero=-3)
        return self.op("ADD", (x, y), out, "AddOptions", fusedActivationFunction=getattr(ACTIVATION, act))

    def pad(self, x, amount):
        _, rows, columns, channels = self.shape(x)
        quant = self.tensors[x].quantization
        out = self.tensor(
            (1, rows + 2 * amount, columns + 2 * amount, channels), scale=quant.scale, zero=quant.zeroPoint[0]
        )
        amounts = self.tensor((4, 2), data=[[0, 0], [amount] * 2, [amount] * 2, [0, 0]], dtype="int32")
        return self.op("PAD", (x, amounts), out, "PadOptions")

    def reshape(self, x, *shape):
        quant = self.tensors[x].quantization
        out = self.tensor(shape, scale=quant.scale, zero=quant.zeroPoint[0])
        wanted = self.tensor((len(shape),), data=shape, dtype="int32")
        return self.op("RESHAPE", (x, wanted), out, "ReshapeOptions", newShape=list(shape))

    def dense(self, x, outputs, *, scale=0.6, zero=9):
        weights = self.tensor(
            (outputs, self.shape(x)[1]), data=self.random.integers(-127, 128, (outputs, self.shape(x)[1])), scale=0.01
        )
        out = self.tensor((1, outputs), scale=scale, zero=zero)
        return self.op("FULLY_CONNECTED", (x, weights, self.bias(x, weights, outputs)), out, "FullyConnectedOptions")

    def softmax(self, x):
        out = self.tensor(self.shape(x), scale=1 / 256, zero=-128)
        return self.op("SOFTMAX", (x,), out, "SoftmaxOptions", beta=1.0)

    def concat(self, *parts):
        shape = (*self.shape(parts[0])[:3], sum(self.shape(part)[3] for part in parts))
        quant = self.tensors[parts[0]].quantization
        out = self.tensor(shape, scale=quant.scale, zero=quant.zeroPoint[0])
        return self.op("CONCATENATION", parts, out, "ConcatenationOptions", axis=3)

    def save(self, path, output):
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = (
            self.tensors,
            self.operators,
            [self.input],
            [output],
        )
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], self.buffers, []
        for number in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = (
                number,
                min(number, 127),
                VERSIONS.get(number, 2),
            )
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


class Reference:
    """LiteRT's plain kernels; tensors by name after a run."""

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kind = OpResolverType.BUILTIN_REF
        self.machine = Interpreter(
            model_path=str(path), experimental_op_resolver_type=kind, experimental_preserve_all_tensors=True
        )
        self.machine.allocate_tensors()
        self.input = self.machine.get_input_details()[0]
        self.output = self.machine.get_output_details()[0]

    def run(self, value):
        self.machine.set_tensor(self.input["index"], value)
        self.machine.invoke()
        return self.machine.get_tensor(self.output["index"])

    def tensor(self, name, shape):
        """By the first of the names that a converter joined, and the size."""
        details = [each for each in self.machine.get_tensor_details() if each["name"].partition(";")[0] == name]
        found = next(each for each in details if np.prod(each["shape"]) == np.prod(shape))
        return self.machine.get_tensor(found["index"]).reshape(shape)

    def images(self, count):
        """Smooth ones with some noise."""
        random = np.random.default_rng(1)
        shape = self.input["shape"]
        for _ in range(count):
            coarse = random.normal(0, 60, (1, -(-shape[1] // 8), -(-shape[2] // 8), shape[3]))
            smooth = np.kron(coarse, np.ones((1, 8, 8, 1)))[:, : shape[1], : shape[2]]
            yield np.clip(smooth + random.normal(0, 10, shape), -128, 127).astype(np.int8)
