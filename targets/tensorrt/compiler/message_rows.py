"""What TensorRT's compiler, parser and runtime say, and what it means for a user: one row per message.

Rows are tried in order; the first whose pattern occurs in any message wins. What may follow from something else, such
as the missing driver that a machine without a GPU complains of in passing, comes last. Every row has a test with a
message as the library printed it.
"""

from __future__ import annotations

import dataclasses
import re

from profiles.errors import (
    EdgewrightError,
    MissingToolError,
    ModelError,
    ToolCrashError,
    UnsupportedError,
    VerificationError,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One message.

    Attributes:
        pattern: a regular expression; named groups may be used in the texts, in braces.
        kind: of the error.
        seen, allowed, next_step: the error's texts.
        subject: the named group that holds the name of a layer, if the message has one.
    """

    pattern: str
    kind: type[EdgewrightError]
    seen: str
    allowed: str = ""
    next_step: str = ""
    subject: str = ""

    def match(self, text: str) -> re.Match[str] | None:
        """Where the message occurs in a text, if it does."""
        return re.search(self.pattern, text, re.DOTALL)


_REBUILD = "build the engine again on this device: edgewright-runtime build BUNDLE"
_BUNDLE = "build or copy the bundle again"
_SYMMETRIC = "quantize the float model with the target tensorrt, whose scheme is symmetric"
_CAST = 'cast one of them, or let Edgewright convert the whole model: precision = "fp16"'

PARSER_ROWS: tuple[Row, ...] = (
    Row(
        r"input has type (?P<dtype>\w+) but must have type (?P<types>[\w ,]+?)\.? In checkType",
        UnsupportedError,
        "a DequantizeLinear of {dtype} values, as quantizers make them of biases",
        "{types}",
        "keep biases in float: quantize the float model with the target tensorrt",
    ),
    Row(
        r"`input` type is (?P<one>\w+) but `kernel` is of type (?P<other>\w+)",
        ModelError,
        "input of type {one} and weights of type {other}",
        "one number format per operator: the network is strongly typed",
        _CAST,
    ),
    Row(
        r"must have same input types\. But they are of types (?P<one>\w+) and (?P<other>\w+)",
        ModelError,
        "inputs of types {one} and {other}",
        "one number format per operator: the network is strongly typed",
        _CAST,
    ),
    Row(
        r"Plugin not found, are the plugin name, version, and namespace correct",
        UnsupportedError,
        "an operator that TensorRT does not know",
        "",
        "replace it by other operators, or move it out of the model into pre- or post-processing",
    ),
    Row(
        r"\AIn function check\w+: false\Z",
        UnsupportedError,
        "an operator that TensorRT knows of and does not have",
        "",
        "replace it by other operators, or move it out of the model into pre- or post-processing",
    ),
    Row(
        r"Non-zero zero point is not supported",
        UnsupportedError,
        "a zero point other than 0",
        "symmetric quantization",
        _SYMMETRIC,
    ),
    Row(
        r"QuantizeLinear/DequantizeLinear with UINT8 zero_point only on DLA",
        UnsupportedError,
        "uint8 quantization, which TensorRT would silently read as int8",
        "int8 with zero point 0",
        _SYMMETRIC,
    ),
    Row(
        r"Scale coefficients must all be positive",
        ModelError,
        "a scale that is zero, negative or not a number",
        "positive scales",
        "quantize the float model again",
    ),
    Row(
        r"Kernel weight dimension failed to broadcast to input",
        ModelError,
        "weights whose number of channels does not fit the input",
        "",
        "export the model again",
    ),
    Row(
        r"doesn't support mode than 1 outputs for (?P<op>\w+) nodes",
        UnsupportedError,
        "the second output of {op}",
        "its first output alone",
        "compute what needs it outside of the model",
    ),
    Row(
        r"Failed to convert ONN?X dat[ea] type to TensorRT data type",
        UnsupportedError,
        "an input or output of a type that TensorRT does not have",
        "float32, float16, bfloat16, int64, int32, int8, uint8, bool",
        "give the model numbers of one of these types",
    ),
    Row(
        r"Failed to import initializer: (?P<name>[^:\n]+)\Z|Failed to open file: (?P<file>[^\n]+)",
        ModelError,
        "weights that cannot be read",
        "weights inside the ONNX file",
        "save the model as one file",
    ),
    Row(
        r"Node input was not registered",
        ModelError,
        "an input that no operator gives",
        "",
        "export the model again",
    ),
    Row(
        r"Failed to parse the ONNX model|Network must have at least one output",
        ModelError,
        "bytes that are no ONNX model, or one that computes nothing",
        "",
        "export the model again",
    ),
)

COMPILER_ROWS: tuple[Row, ...] = (
    Row(
        r"Network has dynamic or shape inputs, but no optimization profile",
        UnsupportedError,
        "inputs without a fixed shape",
        "fixed shapes",
        "give the shape: edgewright build MODEL --input NAME=1x3x320x320",
    ),
    Row(
        r"Cannot compile operation '(?P<layer>[^']*)' for (?P<gpu>[^:]+): (?P<reason>[^.]+)\.",
        UnsupportedError,
        "on {gpu}: {reason}",
        "compute capability 8.0 and later",
        "take 7.5 out of compute_capability and engines_for in the device section",
        "layer",
    ),
    Row(
        r"Cannot compile for target\(s\) (?P<gpus>[\w ,]+), because the model contains HW-specific datatypes: "
        r"(?P<types>[\w ,]+)",
        UnsupportedError,
        "{types} on {gpus}",
        "fp8 from compute capability 8.9 on, fp4 from 10.0 on",
        'choose precision = "int8" or "fp16" for this device',
    ),
    Row(
        r"no tactics to implement the operation within workspace limit|requires workspace memory greater than 0",
        UnsupportedError,
        "a workspace in which no kernel can work",
        "a larger workspace",
        'raise workspace in the device section, such as workspace = "64 MiB", or leave it out',
    ),
    Row(
        r"(?P<layer>[^\s]+) has no runners that implement it",
        UnsupportedError,
        "the layer '{layer}', which the parser takes and the compiler has no kernel for",
        "",
        "replace it by other operators, or move it out of the model into post-processing",
        "layer",
    ),
    Row(
        r"[Oo]ut of memory|OutOfMemory|GPU memory \(\d+ bytes\) could not be allocated|"
        r"User allocator error allocating \d+-byte buffer",
        UnsupportedError,
        "the GPU's memory is full",
        "",
        "end other programs that use the GPU, choose a smaller batch, or lower workspace in the device section",
    ),
    Row(
        r"Could not find any implementation for node (?P<layer>.+?)\.\)",
        UnsupportedError,
        "no kernel for {layer}",
        "",
        "raise workspace in the device section, or try another precision",
        "layer",
    ),
    Row(
        r"Could not infer output types for operation:\s+(?P<layer>[^|(]{1,120})",
        UnsupportedError,
        "no kernel for {layer}",
        "",
        "try another placement or precision; it is a known limitation of some GPUs",
    ),
)

RUNTIME_ROWS: tuple[Row, ...] = (
    Row(
        r"generated on an incompatible device, expecting compute (?P<own>[\d.]+) got compute (?P<other>[\d.]+)",
        VerificationError,
        "an engine for compute capability {other}",
        "{own}, that of this GPU",
        _REBUILD,
    ),
    Row(
        r"not compatible with this version of TensorRT[\w-]*, expecting library version (?P<own>[\d.]+) "
        r"got (?P<other>[\d.]+\d)",
        VerificationError,
        "an engine from version {other}",
        "version {own}, which is installed",
        _REBUILD,
    ),
    Row(
        r"Version tag does not match",
        VerificationError,
        "an engine from another version",
        "",
        _REBUILD,
    ),
    Row(
        r"magicTag|plan\.header\.size == blobSize|empty memory buffer|bufferSize >= minBufferSize|"
        r"Serialization assertion",
        VerificationError,
        "an engine that is damaged, or no engine",
        "",
        _BUNDLE,
    ),
    Row(
        r"cudaError 35\b|CUDA driver version is insufficient|CUDA initialization failure with error: 35\b",
        MissingToolError,
        "no NVIDIA driver, or one that is too old for the installed CUDA runtime",
        "",
        "install or update NVIDIA's driver, and look at it with: nvidia-smi",
    ),
    Row(
        r"cudaError 100\b|no CUDA-capable device is detected|CUDA initialization failure with error: 100\b",
        MissingToolError,
        "a driver, and no NVIDIA GPU that this process may use",
        "",
        "look for it with: nvidia-smi; in a container start it with --gpus all (or --runtime nvidia on a Jetson)",
    ),
    Row(
        r"no kernel image is available|cudaError 209\b",
        VerificationError,
        "an engine without code for this GPU",
        "",
        "add this GPU's compute capability to engines_for in the device section, and build again",
    ),
    Row(
        r"Error Code (?P<code>\d+): (?P<words>Internal Error|Myelin) \((?P<reason>.{1,300})",
        ToolCrashError,
        "an internal error of the compiler: {reason}",
        "",
        "try another optimization_level, precision or version of the library",
    ),
)

ROWS = (*PARSER_ROWS, *COMPILER_ROWS, *RUNTIME_ROWS)
