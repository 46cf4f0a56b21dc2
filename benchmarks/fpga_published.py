"""Published FPGA results for the networks of MLPerf Tiny, with where each figure is from."""

from __future__ import annotations

import dataclasses

#: MACs of one inference of the reference networks (toolchain/frontend/zoo/mlperf_tiny.py).
MACS = {"ResNet-8": 12_501_632, "VWW": 7_489_664, "DS-CNN": 2_656_768}
_V11 = "https://github.com/mlcommons/tiny_results_v1.1/tree/main/closed"
_V07 = "https://github.com/mlcommons/tiny_results_v0.7/tree/master/open/hls4ml-finn"
_CONVNET = f"[fpgaConvNet, MLPerf Tiny 1.1]({_V11}/fpgaconvnet)"


@dataclasses.dataclass(frozen=True)
class Published:
    """A result that its authors measured on a board.

    Attributes:
        design: and its source.
        board: of the measurement.
        network: as here, or in words where it is another one.
        rate: inferences per second, the median that was submitted; one after the other.
        clock: of the accelerator in Hz; None where the source does not say.
        multipliers: DSP blocks; None where the source has no number.
    """

    design: str
    board: str
    network: str
    rate: float
    clock: float | None = None
    multipliers: int | None = None

    @property
    def seconds(self) -> float:
        """Of one inference."""
        return 1 / self.rate

    @property
    def cycles(self) -> float | None:
        """Of one inference, from rate and clock."""
        return self.clock / self.rate if self.clock else None


PUBLISHED = (
    Published(_CONVNET, "ZedBoard (XC7Z020)", "ResNet-8", 2431.435, 143e6, 211),
    Published(_CONVNET, "ZC706 (XC7Z045)", "ResNet-8", 6789.576, 187e6, 525),
    Published(_CONVNET, "ZedBoard (XC7Z020)", "VWW", 105.412, 111e6, 189),
    Published(_CONVNET, "ZC706 (XC7Z045)", "VWW", 1388.295, 200e6, 564),
    Published(f"[ANPU, MLPerf Tiny 1.1]({_V11}/kai_jiang)", "ZCU106 (XCZU7EV)", "VWW", 2683.689),
    Published(_CONVNET, "ZedBoard (XC7Z020)", "DS-CNN", 3087.887, 143e6, 188),
    Published(f"[FINN KWS-W3A3, MLPerf Tiny 0.7]({_V07})", "PYNQ-Z2 (XC7Z020)", "another, 3 bits", 57268.135),
    Published(f"[hls4ml RN07, MLPerf Tiny 0.7]({_V07})", "PYNQ-Z2 (XC7Z020)", "another ResNet", 36.596),
)


def per_multiplier(macs: float, cycles: float | None, multipliers: int | None) -> float | None:
    """MACs per cycle and DSP block."""
    return macs / cycles / multipliers if cycles and multipliers else None
