"""Which ONNX operators TensorRT is documented to have, for machines where it is not installed.

From onnx/onnx-tensorrt, ``docs/operators.md`` of TensorRT 10.15: the operators marked N. An operator that ONNX does not
define is not there either. Whether attributes and number formats fit is only known to the parser itself.
"""

from __future__ import annotations

SOURCE = "the list of operators of TensorRT 10.15 (onnx/onnx-tensorrt, docs/operators.md)"
#: Of the standard operator set.
MISSING = frozenset({
    "AffineGrid", "Bernoulli", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "CenterCropPad",
    "Col2Im", "Compress", "ConcatFromSequence", "ConvInteger", "DFT", "Det", "DynamicQuantizeLinear", "ImageDecoder",
    "MatMulInteger", "MaxRoiPool", "MaxUnpool", "MelWeightMatrix", "Multinomial", "NegativeLogLikelihoodLoss",
    "Optional", "OptionalGetElement", "OptionalHasElement", "QLinearConv", "QLinearMatMul", "RegexFullMatch",
    "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength",
    "SequenceMap", "SoftmaxCrossEntropyLoss", "SplitToSequence", "StringConcat", "StringNormalizer", "StringSplit",
    "TfIdfVectorizer", "Unique",
})  # fmt: skip


def documented(op: str, domain: str = "") -> bool:
    """Whether TensorRT is documented to have an operator of the standard set."""
    import onnx

    return domain in ("", "ai.onnx") and onnx.defs.has(op) and op not in MISSING
