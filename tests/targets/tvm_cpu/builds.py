"""A small classifier, built for one architecture and run."""

import dataclasses

from tvm_networks import classifier, device_of, random_values

from targets.registry import load_target

TARGET = load_target("tvm_cpu")


def build(arch, tmp_path, **parameters):
    model, device = classifier(tmp_path / "classifier.onnx"), device_of(arch)
    device = dataclasses.replace(device, parameters={**device.parameters, **parameters})
    out = tmp_path / "out"
    out.mkdir()
    return model, device, out, TARGET.compile(model, device, out)


def outputs_of(model, device, out, compiled, seeds=(1, 2)):
    with TARGET.runner(out, compiled, device.as_dict()) as runner:
        return [runner.run({"image": random_values((1, 3, 12, 12), seed)}) for seed in seeds], runner.counters()
