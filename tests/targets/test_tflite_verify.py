import inspect
import random
import re
import runpy
import struct
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ModelError
from targets.tflite_verify import OFFSETS, verify_tflite

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_tflite.py")))
MLPERF = Path(__file__).parents[2].parent / "shared" / "models" / "mlperf_tiny"
SOUND = tiny["float_model"](signature=("image", "scores"))
WIDTHS = {"Bool": "1", "Uint8": "1", "Uint16": "2", "Int32": "4", "Uint32": "4", "Float32": "4", "Int64": "8"}


class Recorder:
    """Stands in for a flatbuffers.Builder and notes which slot a generated function fills, and how."""

    def __getattr__(self, name):
        return lambda slot, *_: setattr(self, "call", (name, slot)) if not name.startswith("__") else None


def generated_offsets():
    """The fields that hold offsets, read off the classes generated from the schema."""
    tables = [name for name, kind in vars(schema).items() if hasattr(kind, "GetRootAs")]
    found = {}
    for table in tables:
        for name, function in vars(schema).items():
            if inspect.isfunction(function) and name.startswith(f"{table}Add"):
                recorder = Recorder()
                function(recorder, 0)
                how, slot = recorder.call
                if how == "PrependUOffsetTRelativeSlot":
                    found.setdefault(table, {})[slot] = meaning(getattr(schema, table), name[len(table) + 3 :])
    return found


def meaning(table, field):
    source = inspect.getsource(getattr(table, field))
    entry = re.search(r"obj = (\w+)\(\)", source)
    if hasattr(table, f"{field}AsNumpy"):
        return WIDTHS[re.search(r"number_types\.(\w+)Flags, a", source).group(1)]
    if hasattr(table, f"{field}Length"):
        return f"[{entry.group(1)}]"
    if "String(" in source:
        return "str"
    return entry.group(1) if entry else "union"


def test_the_table_of_offsets_is_the_schemas():
    ours = {
        table: {slot: "union" if m.startswith("union") else m for slot, m in slots.items()}
        for table, slots in OFFSETS.items()
    }
    assert ours == generated_offsets(), "the installed schema has other offset fields than targets/tflite_verify.py"


@pytest.mark.parametrize("name", ["ic_resnet8_float", "ic_resnet8_int8", "kws_dscnn_float", "kws_dscnn_int8"])
def test_real_models_are_sound(name):
    path = MLPERF / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"the MLPerf Tiny model {path.name} is not there: this check against a real file did not run")
    verify_tflite(path.read_bytes(), path.name)


@pytest.mark.parametrize("data", [SOUND, tiny["quantized_model"](), tiny["float_model"](open_axes=[-1, 4])])
def test_models_made_by_hand_are_sound(data):
    verify_tflite(data, "tiny.tflite")


def damaged(change):
    made = tiny["unpack"](SOUND)
    change(made)
    return tiny["pack"](made)


def test_every_truncation_is_seen():
    for length in range(len(SOUND)):
        try:
            verify_tflite(SOUND[:length], "cut.tflite")
        except ModelError:
            continue
        lost = SOUND[length:]
        assert not any(lost), f"cut after {length} of {len(SOUND)} bytes, which lost {lost!r}"


CONTRADICTIONS = {
    "names tensor 9": lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [0, 9, 2]),
    "names code 5": lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 5),
    "names buffer 77": lambda m: setattr(m.subgraphs[0].tensors[1], "buffer", 77),
    "the graph's inputs are tensors": lambda m: setattr(m.subgraphs[0], "inputs", [12]),
    "the graph has no output": lambda m: setattr(m.subgraphs[0], "outputs", []),
    "the file has no graph": lambda m: setattr(m, "subgraphs", []),
    "48 bytes for the shape": lambda m: setattr(m.subgraphs[0].tensors[1], "shape", [3, 5]),
    "has the shape (-3, 4)": lambda m: setattr(m.subgraphs[0].tensors[1], "shape", [-3, 4]),
    "has the shape (2147483647, 2147483647)": lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [2**31 - 1] * 2),
    "shape signature (-1, -1, 4)": lambda m: setattr(m.subgraphs[0].tensors[0], "shapeSignature", [-1, -1, 4]),
    "2 scales along axis 0": lambda m: setattr(m.subgraphs[0].tensors[1], "quantization", quantization([1.0, 2.0])),
    "scale that is not a finite": lambda m: setattr(m.subgraphs[0].tensors[1], "quantization", quantization([np.nan])),
}


def quantization(scales):
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint = scales, [0] * len(scales)
    return made


@pytest.mark.parametrize("words", CONTRADICTIONS)
def test_numbers_that_contradict_each_other_are_named(words):
    with pytest.raises(ModelError, match=re.escape(words)):
        verify_tflite(damaged(CONTRADICTIONS[words]), "odd.tflite")


def test_weights_that_lie_behind_the_end_of_the_file_are_seen():
    def move(made):
        made.buffers[1].data, made.buffers[1].offset, made.buffers[1].size = None, 4096, 48

    with pytest.raises(ModelError, match="reaches past the end"):
        verify_tflite(damaged(move), "outside.tflite")


def test_a_vtable_before_the_start_of_the_file_is_seen():
    data = bytearray(SOUND)
    (root,) = struct.unpack_from("<I", data, 0)
    struct.pack_into("<i", data, root, 10**6)
    with pytest.raises(ModelError, match="the vtable of Model"):
        verify_tflite(bytes(data), "before.tflite")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_file_is_sound_or_refused_and_never_anything_else(data):
    changed = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(SOUND) - 1))] = data.draw(st.integers(0, 255))
    try:
        verify_tflite(bytes(changed), "changed.tflite")
    except ModelError as error:
        assert error.seen, "the error says what is wrong"


def test_random_bytes_are_refused():
    generator = random.Random(7)
    for _ in range(100):
        noise = generator.randbytes(generator.randrange(200))
        with pytest.raises(ModelError, match=r"noise\.tflite"):
            verify_tflite(noise, "noise.tflite")
        with pytest.raises(ModelError, match=r"noise\.tflite"):
            verify_tflite(noise[:4].ljust(4, b"\1") + b"TFL3" + noise[4:], "noise.tflite")
