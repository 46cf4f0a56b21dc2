"""TVM's ONNX importer, made to remember names and to keep clips as one operator."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from targets.tvm_fpga.partition.relax_tools import SEPARATOR, constant, op_name, origin


@functools.cache
def importer_class() -> Any:
    """A subclass of TVM's importer (pinned: the method that it overrides is not public)."""
    from tvm import ir, relax
    from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter

    class Importer(ONNXGraphImporter):  # type: ignore[misc]
        """Every operator's last call carries its kind and name as its span."""

        def _convert_operator(self, op_name: str, inputs: Any, attrs: dict[str, Any], opset: int) -> Any:
            known = {"Clip": self._clip, "DequantizeLinear": self._scalar, "BatchNormalization": self._normalization}
            special = known.get(op_name)
            made = special(inputs, attrs) if special else None
            if made is None:
                made = super()._convert_operator(op_name, inputs, attrs, opset)
            span = ir.Span(ir.SourceName(SEPARATOR.join((op_name, attrs["tvm_custom"]["name"]))), 0, 0, 0, 0)
            if isinstance(made, relax.Tuple):
                return relax.Tuple([self._named(each, span) for each in made.fields])
            return self._named(made, span)

        def _named(self, made: Any, span: Any) -> Any:
            """The same call with a span, if it has none: an operator that does nothing gives what it was given."""
            bound = self.bb.lookup_binding(made) if isinstance(made, relax.Var) else made
            if not isinstance(bound, relax.Call) or origin(bound) is not None:
                return made
            return self.bb.normalize(relax.Call(bound.op, bound.args, bound.attrs, bound.ty_args, span))

        def _scalar(self, inputs: Any, attrs: dict[str, Any]) -> Any:
            """The real value of a stored number without axes, which Relax's ``dequantize`` does not take; else None."""
            given = [constant(each) for each in inputs if each is not None]
            if len(given) < 2 or given[0] is None or given[1] is None or given[0].ndim:
                return None
            zero = given[2] if len(given) > 2 and given[2] is not None else np.zeros((), given[0].dtype)
            return relax.const(np.float32((float(given[0]) - float(zero)) * float(given[1])))

        def _normalization(self, inputs: Any, attrs: dict[str, Any]) -> Any:
            """A batch normalization as a factor and a summand for each channel, where all is known; else None."""
            values = [_real(each) for each in inputs[1:5]]
            if len(values) < 4 or any(each is None for each in values) or attrs.get("training_mode", 0):
                return None
            gamma, beta, mean, variance = values
            factor = gamma / np.sqrt(variance + attrs.get("epsilon", 1e-5))
            form = (1, -1, *[1] * (len(inputs[0].ty.shape) - 2))
            pair = [relax.const(each.reshape(form).astype(np.float32)) for each in (factor, beta - mean * factor)]
            return self.bb.normalize(relax.op.add(relax.op.multiply(inputs[0], pair[0]), pair[1]))

        def _clip(self, inputs: Any, attrs: dict[str, Any]) -> Any:
            """``relax.clip`` where both bounds are known numbers, else None."""
            given = [inputs[at] if at < len(inputs) else None for at in (1, 2)]
            bounds = [attrs.get("min", -_LARGE), attrs.get("max", _LARGE)]
            for at, bound in enumerate(given):
                if bound is not None:
                    values = constant(bound)
                    if values is None or values.size != 1:
                        return None
                    bounds[at] = float(values.reshape(()))
            return self.bb.normalize(relax.op.clip(inputs[0], *bounds))

    return Importer


def _real(expression: Any) -> Any:
    """The values of a constant, or of a constant that is dequantized; else None."""
    values = constant(expression)
    if values is not None or op_name(expression) != "relax.dequantize":
        return None if values is None else values.astype(np.float64)
    stored, scale, zero = (constant(each) for each in expression.args)
    if stored is None or scale is None or zero is None:
        return None
    return (stored.astype(np.float64) - zero) * scale


#: The largest float32.
_LARGE = 3.4028234663852886e38
