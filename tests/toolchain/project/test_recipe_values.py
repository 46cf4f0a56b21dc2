"""Wrong values in a step of a recipe: where, what was seen, what is allowed."""

import pytest

from profiles.errors import ConfigError
from toolchain.project import project_from_dict


def wrong(step, options):
    with pytest.raises(ConfigError) as caught:
        project_from_dict({"model": {"source": "zoo:resnet8"}, "compress": {"steps": [{step: options}]}})
    return caught.value


@pytest.mark.parametrize(
    ("step", "options", "sentence", "allowed"),
    [
        ("prune", {"bytes": "10 lightyears"}, "prune.bytes needs a number and a unit", "KiB"),
        ("prune", {"bytes": True}, "prune.bytes has a value of the wrong type", '"100 kB"'),
        ("prune", {"bytes": "0 B"}, "prune.bytes needs more than 0", ""),
        ("prune", {"latency": 5}, "prune.latency is out of range", '"5 ms"'),
        ("prune", {"latency": "5 MB"}, "prune.latency needs a number and a unit", "ms"),
        ("lowrank", {"rank": 0}, "lowrank.rank is no rank", '"vbmf"'),
        ("lowrank", {"rank": "auto"}, "lowrank.rank is no rank", '"vbmf"'),
        ("sparsify", {"pattern": "4:2"}, "sparsify.pattern is no pattern", "N:M"),
        ("sparsify", {"pattern": "2/4"}, "sparsify.pattern is no pattern", "N:M"),
        ("distill", {"loss": []}, "distill.loss needs at least one loss", ""),
        ("distill", {"student": "resnet8"}, "distill.student is not a model source", "zoo:NAME"),
        ("distill", {"teacher": "net.onnx"}, "distill.teacher is not a model source", ".pt2"),
        ("distill", {"teacher": [{"source": "resnet8"}]}, "distill.teacher[0].source is not a model source", "zoo:"),
        ("distill", {"teacher": [{"sorce": "zoo:resnet8"}]}, "distill.teacher[0].sorce is not a known key", "source"),
        ("distill", {"alpha": 2.0}, "distill.alpha is out of range", "at most 1"),
    ],
)
def test_the_key_is_named_as_it_is_written(step, options, sentence, allowed):
    error = wrong(step, options)
    assert error.wanted.endswith(f"compress.steps[0].{sentence}"), error.wanted
    assert allowed in error.allowed
