"""Random regions for property tests: chains with branches, of all kinds of layers, sized to be computed in
milliseconds.
"""

from __future__ import annotations

import numpy as np

from targets.tvm_fpga.compiler.ir import Addition, Kind, Layer, Region, Tensor
from targets.tvm_fpga.compiler.layers import ungrouped


def layer(draw, name, source, outputs, kernel, stride=(1, 1), padding=(0, 0), out_shape=None, kind=Kind.CONV, **given):
    """A layer with random arithmetic; ``out_shape`` (rows, columns) may be less or more than fits without padding."""
    (rows, columns), dilation = kernel, given.pop("dilation", (1, 1))
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    if out_shape is None:
        sizes = (source.height, source.width)
        out_shape = [
            max(1, (size + 2 * pad - span) // step + 1)
            for size, pad, span, step in zip(sizes, padding, spans, stride, strict=True)
        ]
    out = given.pop("out", None) or Tensor(name, *out_shape, outputs, zero=int(draw.integers(-30, 30)))
    groups = given.pop("groups", 1)
    shape = (outputs, rows, columns, source.channels // groups) if kind is Kind.CONV else (rows, columns, outputs)
    weights = draw.integers(-128, 128, shape).astype(np.int8)
    if kind is Kind.LARGEST:
        weights = np.ones(shape, np.int8)
    taps = rows * columns * (source.channels // groups if kind is Kind.CONV else 1)
    if kind is Kind.LARGEST:
        mult, shift, bias = np.full(outputs, 1 << 15), np.full(outputs, 15), np.full(outputs, -source.zero)
    else:
        mult = draw.integers(1 << 15, 1 << 16, outputs)
        shift = draw.integers(21, 24, outputs) + int(np.log2(taps) / 2)
        bias = draw.integers(-3000, 3000, outputs)
    lo, hi = (int(draw.integers(-128, -40)), int(draw.integers(40, 128))) if draw.integers(2) else (-128, 127)
    fill = -128 if kind is Kind.LARGEST else source.zero
    return Layer(
        name,
        kind,
        source,
        out,
        weights=ungrouped(weights, groups) if groups > 1 else weights,
        bias=bias,
        mult=mult,
        shift=shift,
        zero=out.zero,
        lo=lo,
        hi=hi,
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
        fill=fill,
        **given,
    )


def random_layer(draw, name, source):
    """Any kind, any kernel that fits into the source with its padding."""
    kind = draw.choice([Kind.CONV, Kind.CONV, Kind.DEPTHWISE, Kind.LARGEST])
    kernel = [int(draw.choice([1, 2, 3, 3, 5])) for _ in range(2)]
    if draw.integers(3) == 0:
        kernel = [3, 3]
    dilation = [int(draw.choice([1, 1, 1, 2])) for _ in range(2)]
    stride = [int(draw.choice([1, 1, 2, 3])) for _ in range(2)]
    padding = [int(draw.integers(0, size)) for size in kernel]
    outputs = int(draw.integers(1, 14)) if kind is Kind.CONV else source.channels
    groups = 1
    if kind is Kind.CONV and draw.integers(4) == 0:
        groups = int(draw.choice([g for g in range(1, source.channels + 1) if source.channels % g == 0]))
        outputs = groups * int(draw.integers(1, 4))
    given = {"groups": groups} if kind is Kind.CONV else {}
    made = layer(draw, name, source, outputs, kernel, stride, padding, kind=kind, dilation=dilation, **given)
    # more or fewer rows and columns than a symmetric padding gives
    shape = [max(1, int(size + draw.integers(-1, 2))) for size in made.out.shape[:2]]
    return layer(draw, name, source, outputs, kernel, stride, padding, shape, kind=kind, dilation=dilation, **given)


def random_addition(draw, name, first, second):
    """first + second as a layer of its own."""
    from targets.tvm_fpga.compiler.layers import add

    addition = Addition(
        second, int(draw.integers(1, 1 << 16)), int(draw.integers(1, 1 << 16)), int(draw.integers(14, 18))
    )
    return add(name, first, addition, Tensor(name, *first.shape, zero=int(draw.integers(-30, 30))))


def random_concat(draw, name, tensors):
    """Copies of tensors of one size, beside each other."""
    from targets.tvm_fpga.compiler.layers import copy

    out = Tensor(name, *tensors[0].shape[:2], sum(each.channels for each in tensors), zero=int(draw.integers(-30, 30)))
    at = np.cumsum([0, *(each.channels for each in tensors)])
    return [copy(f"{name}{number}", each, out, at=int(at[number])) for number, each in enumerate(tensors)]


def random_region(seed, most=5, size=12):
    """Layers on one or two inputs, with additions and concatenations of what has the same shape; one to three
    outputs.
    """
    draw = np.random.default_rng(seed)
    shape = int(draw.integers(1, size)), int(draw.integers(1, size))
    sources = [
        Tensor(f"in{number}", *shape, int(draw.integers(1, 12)), zero=int(draw.integers(-30, 30)))
        for number in range(int(draw.integers(1, 3)))
    ]
    tensors, layers = list(sources), []
    for number in range(int(draw.integers(1, most + 1))):
        name, source = f"t{number}", tensors[int(draw.integers(len(tensors)))]
        alike = [each for each in tensors if each.shape == source.shape]
        sized = [each for each in tensors if each.shape[:2] == source.shape[:2]]
        what = draw.integers(6)
        if what == 0 and layers:
            made = [random_addition(draw, name, source, alike[int(draw.integers(len(alike)))])]
        elif what == 1:
            made = random_concat(
                draw, name, [sized[int(draw.integers(len(sized)))] for _ in range(int(draw.integers(1, 4)))]
            )
        else:
            made = [random_layer(draw, name, source)]
        layers += made
        tensors.append(made[0].out)
    made = [each for each in tensors if each not in sources]
    outs = [made[-1], *(each for each in made[:-1] if draw.integers(4) == 0)]
    return Region(tuple(layers), tuple(sources), tuple(outs))
