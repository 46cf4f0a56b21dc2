"""Backends: one folder per engine, each with four verbs (support, quantize, compile, runner).

Vendors' packages report usage to their makers unless told otherwise. A build or a measurement must not
talk to the network, so importing this package, which comes before any engine, turns that off: ONNX
Runtime by its environment variable, OpenVINO and NNCF by keeping ``openvino_telemetry`` out, whose
absence both provide for. (Its background process has also been seen to hang at the end of a program.)
"""

import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
