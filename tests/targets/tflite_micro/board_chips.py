"""The registers of the chips on real boards, written down a second time, and what they do: for tests of the ports.

Addresses are those of the vendors' register maps (RM0433, RM0432, nRF52840 Product Specification v1.7, RP2350
Datasheet), not taken from the C. A rule is (conditions, effect), both as (register, mask, value): the chip's answer to
what is written. A switch to another clock is only answered when wait states and voltage allow it, so that a port that
forgets them never comes back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

Registers = Mapping[str, int]
Bits = tuple[str, int, int]
CORE = {"CCR": 0xE000ED14, "DEMCR": 0xE000EDFC, "DWT_CTRL": 0xE0001000, "DWT_CYCCNT": 0xE0001004}
CORE_PAGES = (0xE0001000, 0xE000E000)
HIGH = 1 << 31


@dataclasses.dataclass(frozen=True)
class Chip:
    """One chip.

    Attributes:
        registers: name to address.
        pages: where registers are, 4 KiB each.
        reset: values after reset; 0 for those not named.
        rules: what the chip does.
        core: the core's clock in Hz that follows from the registers, with the chip's limits asserted.
        baud: the serial line's rate.
        pins: bits that must be set so for the serial line to get out.
        sent, received: the data registers; ``ready``: bits that say that one may write, and that a byte is there.
        trouble: an overrun as the chip shows it, and what must be written to go on.
    """

    registers: Registers
    pages: tuple[int, ...]
    reset: Registers
    rules: tuple[tuple[tuple[Bits, ...], Bits], ...]
    core: Callable[[Registers], float]
    baud: Callable[[Registers], float]
    pins: tuple[Bits, ...]
    sent: str
    received: str
    ready: tuple[Bits, ...]
    trouble: tuple[tuple[Bits, ...], tuple[Bits, ...]]


def _field(value: int, low: int, width: int) -> int:
    return value >> low & (1 << width) - 1


def _between(low: float, value: float, high: float, what: str) -> float:
    assert low <= value <= high, f"{what} is {value}, not between {low} and {high}"
    return value


# --- STM32H743 -----------------------------------------------------------------------------------

_H7 = {
    "RCC_CR": 0x58024400, "RCC_CFGR": 0x58024410, "RCC_D1CFGR": 0x58024418, "RCC_D2CFGR": 0x5802441C,
    "RCC_D3CFGR": 0x58024420, "RCC_PLLCKSELR": 0x58024428, "RCC_PLLCFGR": 0x5802442C, "RCC_PLL1DIVR": 0x58024430,
    "RCC_D2CCIP2R": 0x58024454, "RCC_AHB4ENR": 0x580244E0, "RCC_APB1LENR": 0x580244E8, "PWR_CSR1": 0x58024804,
    "PWR_CR3": 0x5802480C, "PWR_D3CR": 0x58024818, "FLASH_ACR": 0x52002000, "GPIOD_MODER": 0x58020C00,
    "GPIOD_PUPDR": 0x58020C0C, "GPIOD_AFRH": 0x58020C24, "USART3_CR1": 0x40004800, "USART3_BRR": 0x4000480C,
    "USART3_ISR": 0x4000481C, "USART3_ICR": 0x40004820, "USART3_RDR": 0x40004824, "USART3_TDR": 0x40004828,
    "DBGMCU_IDCODE": 0x5C001000, "AXI_TARG7_FN_MOD": 0x51008108, "CCSIDR": 0xE000ED80, "DWT_LAR": 0xE0001FB0, **CORE,
}  # fmt: skip
#: Highest AXI clock in MHz at voltage scale 1: wait states, programming delay.
_H7_WAIT = ((70, 0, 0), (140, 1, 1), (185, 2, 1), (210, 2, 2), (225, 3, 2))


def _h7_core(r: Registers) -> float:
    assert r["RCC_PLLCKSELR"] & 3 == 0, "the PLL takes HSI"
    assert r["RCC_CFGR"] & 7 == 3, "PLL1 is the system's clock"
    assert r["RCC_PLLCFGR"] >> 16 & 1, "output P is on"
    assert r["RCC_PLLCFGR"] & 3 == 0, "no fraction, wide range of the VCO"
    given = (64e6 / (1 << _field(r["RCC_CR"], 3, 2))) / _field(r["RCC_PLLCKSELR"], 4, 6)
    low = (1e6, 2e6, 4e6, 8e6)[_field(r["RCC_PLLCFGR"], 2, 2)]
    _between(low * 1.02, given, low * 2 * 0.98, "the PLL's input, with HSI's tolerance,")
    vco = _between(192e6, given * (_field(r["RCC_PLL1DIVR"], 0, 9) + 1), 836e6, "the VCO")
    core = vco / (_field(r["RCC_PLL1DIVR"], 9, 7) + 1) / _h7_prescaler(_field(r["RCC_D1CFGR"], 8, 4))
    _between(1, core, 400e6, "the core at scale 1")
    ahb = _between(1, core / _h7_prescaler(_field(r["RCC_D1CFGR"], 0, 4)), 200e6, "AXI and AHB at scale 1")
    for register, low_bit in (("RCC_D1CFGR", 4), ("RCC_D2CFGR", 4), ("RCC_D2CFGR", 8), ("RCC_D3CFGR", 4)):
        _between(1, ahb / _apb_prescaler(_field(r[register], low_bit, 3)), 100e6, f"the APB of {register}")
    wait, delay = next((w, d) for limit, w, d in _H7_WAIT if ahb <= limit * 1e6)
    assert (_field(r["FLASH_ACR"], 0, 4), _field(r["FLASH_ACR"], 4, 2)) == (wait, delay), "wait states of the flash"
    return core


def _h7_prescaler(field: int) -> int:
    return 1 if field < 8 else (2, 4, 8, 16, 64, 128, 256, 512)[field - 8]


def _apb_prescaler(field: int) -> int:
    return 1 if field < 4 else (2, 4, 8, 16)[field - 4]


def _h7_baud(r: Registers) -> float:
    assert r["RCC_D2CCIP2R"] & 7 == 3, "USART3 takes HSI"
    return 64e6 / r["USART3_BRR"]


STM32H743 = Chip(
    registers=_H7,
    pages=(0x58024000, 0x52002000, 0x58020000, 0x40004000, 0x5C001000, 0x51008000, *CORE_PAGES),
    reset={
        "RCC_CR": 0x25, "RCC_PLLCFGR": 0x01FF0000, "RCC_PLL1DIVR": 0x01010280, "RCC_PLLCKSELR": 0x02020200,
        "PWR_CR3": 6, "PWR_CSR1": 0x4000, "PWR_D3CR": 0x4000, "FLASH_ACR": 0x37, "GPIOD_MODER": 0xFFFFFFFF,
        "CCSIDR": 0xF00FE019, "DBGMCU_IDCODE": 0x20036450, "USART3_ISR": 0xC0,
    },
    rules=(
        ((("PWR_CR3", 7, 2),), ("PWR_CSR1", 1 << 13, 1 << 13)),
        ((("PWR_CR3", 7, 2), ("PWR_D3CR", 3 << 14, 3 << 14)), ("PWR_D3CR", 1 << 13, 1 << 13)),
        ((("RCC_CR", 1 << 24, 1 << 24), ("RCC_PLLCFGR", 1 << 16, 1 << 16)), ("RCC_CR", 1 << 25, 1 << 25)),
        (
            (("RCC_CFGR", 7, 3), ("RCC_CR", 1 << 25, 1 << 25), ("FLASH_ACR", 0x3F, 0x22), ("PWR_D3CR", 0xE000, 0xE000)),
            ("RCC_CFGR", 7 << 3, 3 << 3),
        ),
    ),
    core=_h7_core,
    baud=_h7_baud,
    pins=(
        ("RCC_AHB4ENR", 1 << 3, 1 << 3), ("RCC_APB1LENR", 1 << 18, 1 << 18), ("GPIOD_MODER", 0xF << 16, 0xA << 16),
        ("GPIOD_MODER", 0xFFF0FFFF, 0xFFF0FFFF), ("GPIOD_AFRH", 0xFF, 0x77), ("GPIOD_PUPDR", 0xF << 16, 4 << 16),
        ("USART3_CR1", 0xFFFFFFFF, 0x2000000D), ("CCR", 3 << 16, 3 << 16), ("DWT_LAR", 0xFFFFFFFF, 0xC5ACCE55),
    ),
    sent="USART3_TDR",
    received="USART3_RDR",
    ready=(("USART3_ISR", 0xFF, 0xA0),),
    trouble=((("USART3_ISR", 0xFF, 0x28),), (("USART3_ICR", 8, 8),)),
)  # fmt: skip

# --- STM32L4R5 -----------------------------------------------------------------------------------

_L4 = {
    "RCC_CR": 0x40021000, "RCC_CFGR": 0x40021008, "RCC_PLLCFGR": 0x4002100C, "RCC_AHB2ENR": 0x4002104C,
    "RCC_APB1ENR1": 0x40021058, "RCC_APB1ENR2": 0x4002105C, "RCC_CCIPR": 0x40021088, "PWR_CR1": 0x40007000,
    "PWR_CR2": 0x40007004, "PWR_SR2": 0x40007014, "PWR_CR5": 0x40007080, "FLASH_ACR": 0x40022000,
    "GPIOG_MODER": 0x48001800, "GPIOG_PUPDR": 0x4800180C, "GPIOG_AFRL": 0x48001820, "GPIOG_AFRH": 0x48001824,
    "LPUART1_CR1": 0x40008000, "LPUART1_BRR": 0x4000800C, "LPUART1_ISR": 0x4000801C, "LPUART1_ICR": 0x40008020,
    "LPUART1_RDR": 0x40008024, "LPUART1_TDR": 0x40008028, **CORE,
}  # fmt: skip


def _l4_core(r: Registers) -> float:
    assert r["RCC_PLLCFGR"] & 3 == 2, "the PLL takes HSI16"
    assert r["RCC_PLLCFGR"] >> 24 & 1, "output R is on"
    assert r["RCC_CFGR"] & 3 == 3, "the PLL is the system's clock"
    assert r["RCC_CFGR"] & 0x3FF0 == 0, "no bus is slower than the core"
    given = _between(2.66e6, 16e6 / (_field(r["RCC_PLLCFGR"], 4, 4) + 1), 8e6, "the PLL's input")
    vco = _between(64e6, given * _field(r["RCC_PLLCFGR"], 8, 7), 344e6, "the VCO")
    core = _between(1, vco / (2 * _field(r["RCC_PLLCFGR"], 25, 2) + 2), 120e6, "the core in boost mode")
    assert r["FLASH_ACR"] & 0xF == -(-core // 20e6) - 1, "a wait state for each 20 MHz"
    assert r["FLASH_ACR"] >> 9 & 3 == 3, "both caches of the flash are on"
    return core


def _l4_baud(r: Registers) -> float:
    assert r["RCC_CCIPR"] >> 10 & 3 == 2, "LPUART1 takes HSI16"
    return 256 * 16e6 / r["LPUART1_BRR"]


STM32L4R5 = Chip(
    registers=_L4,
    pages=(0x40021000, 0x40007000, 0x40022000, 0x48001000, 0x40008000, *CORE_PAGES),
    reset={
        "RCC_CR": 0x63, "RCC_PLLCFGR": 0x1000, "PWR_CR1": 0x200, "PWR_CR5": 0x100, "FLASH_ACR": 0x600,
        "GPIOG_MODER": 0xFFFFFFFF, "LPUART1_ISR": 0xC0,
    },
    rules=(
        ((("RCC_CR", 1 << 8, 1 << 8),), ("RCC_CR", 1 << 10, 1 << 10)),
        ((("RCC_CR", 0x01000400, 0x01000400),), ("RCC_CR", 1 << 25, 1 << 25)),
        (
            (("RCC_CFGR", 0xF3, 0x83), ("RCC_CR", 1 << 25, 1 << 25), ("FLASH_ACR", 0xF, 5), ("PWR_CR5", 1 << 8, 0)),
            ("RCC_CFGR", 3 << 2, 3 << 2),
        ),
    ),
    core=_l4_core,
    baud=_l4_baud,
    pins=(
        ("RCC_AHB2ENR", 1 << 6, 1 << 6), ("RCC_APB1ENR1", 1 << 28, 1 << 28), ("RCC_APB1ENR2", 1, 1),
        ("PWR_CR2", 1 << 9, 1 << 9), ("PWR_CR1", 3 << 9, 1 << 9), ("GPIOG_MODER", 0xF << 14, 0xA << 14),
        ("GPIOG_MODER", 0xFFFC3FFF, 0xFFFC3FFF), ("GPIOG_AFRL", 0xF << 28, 8 << 28), ("GPIOG_AFRH", 0xF, 8),
        ("GPIOG_PUPDR", 0xF << 14, 4 << 14), ("LPUART1_CR1", 0xFFFFFFFF, 0x2000000D),
    ),
    sent="LPUART1_TDR",
    received="LPUART1_RDR",
    ready=(("LPUART1_ISR", 0xFF, 0xA0),),
    trouble=((("LPUART1_ISR", 0xFF, 0x28),), (("LPUART1_ICR", 8, 8),)),
)  # fmt: skip

# --- nRF52840 ------------------------------------------------------------------------------------

_NRF = {
    "HFCLKSTART": 0x40000000, "HFCLKSTARTED": 0x40000100, "DCDCEN": 0x40000578, "ICACHECNF": 0x4001E540,
    "OUTSET": 0x50000508, "PIN_CNF6": 0x50000718, "PIN_CNF8": 0x50000720, "STARTRX": 0x40002000, "STARTTX": 0x40002008,
    "RXDRDY": 0x40002108, "TXDRDY": 0x4000211C, "ENABLE": 0x40002500, "PSELRTS": 0x40002508, "PSELTXD": 0x4000250C,
    "PSELCTS": 0x40002510, "PSELRXD": 0x40002514, "RXD": 0x40002518, "TXD": 0x4000251C, "BAUDRATE": 0x40002524,
    "CONFIG": 0x4000256C, **CORE,
}  # fmt: skip
_SENT = 0x5A


def _nrf_core(r: Registers) -> float:
    assert r["HFCLKSTART"] == 1, "the crystal runs"
    return 64e6


NRF52840 = Chip(
    registers=_NRF,
    pages=(0x40000000, 0x40002000, 0x4001E000, 0x50000000, *CORE_PAGES),
    reset={
        "PSELRTS": 0xFFFFFFFF, "PSELTXD": 0xFFFFFFFF, "PSELCTS": 0xFFFFFFFF, "PSELRXD": 0xFFFFFFFF,
        "PIN_CNF6": 2, "PIN_CNF8": 2, "BAUDRATE": 0x04000000,
    },
    rules=(
        ((("HFCLKSTART", 1, 1),), ("HFCLKSTARTED", 1, 1)),
        ((("TXD", 0xFF, _SENT), ("ENABLE", 0xF, 4), ("STARTTX", 1, 1)), ("TXDRDY", 1, 1)),
    ),
    core=_nrf_core,
    baud=lambda r: r["BAUDRATE"] * 16e6 / 2**32,
    pins=(
        ("DCDCEN", 1, 1), ("ICACHECNF", 1, 1), ("OUTSET", 1 << 6, 1 << 6), ("PIN_CNF6", 0x3FFFF, 3),
        ("PIN_CNF8", 0x3FFFF, 0xC), ("PSELTXD", 0xFFFFFFFF, 6), ("PSELRXD", 0xFFFFFFFF, 8), ("CONFIG", 0x1F, 0),
        ("PSELRTS", 0xFFFFFFFF, 0xFFFFFFFF), ("PSELCTS", 0xFFFFFFFF, 0xFFFFFFFF), ("STARTRX", 1, 1), ("ENABLE", 0xF, 4),
    ),
    sent="TXD",
    received="RXD",
    ready=(("RXDRDY", 1, 1),),
    trouble=((("RXDRDY", 1, 1),), (("RXDRDY", 1, 0),)),
)  # fmt: skip

# --- RP2350 --------------------------------------------------------------------------------------

_RP = {
    "CLK_REF_CTRL": 0x40010030, "CLK_REF_DIV": 0x40010034, "CLK_REF_SELECTED": 0x40010038, "CLK_SYS_CTRL": 0x4001003C,
    "CLK_SYS_DIV": 0x40010040, "CLK_SYS_SELECTED": 0x40010044, "CLK_PERI_CTRL": 0x40010048, "CLK_PERI_DIV": 0x4001004C,
    "RESET": 0x40020000, "RESET_DONE": 0x40020008, "GPIO0_CTRL": 0x40028004, "GPIO1_CTRL": 0x4002800C,
    "PAD0": 0x40038004, "PAD1": 0x40038008, "XOSC_CTRL": 0x40048000, "XOSC_STATUS": 0x40048004,
    "PLL_CS": 0x40050000, "PLL_PWR": 0x40050004, "PLL_FBDIV": 0x40050008, "PLL_PRIM": 0x4005000C, "DR": 0x40070000,
    "RSR": 0x40070004, "FR": 0x40070018, "IBRD": 0x40070024, "FBRD": 0x40070028, "LCR_H": 0x4007002C, "CR": 0x40070030,
    **CORE,
}  # fmt: skip
_PLL, _UART, _PINS = 1 << 14, 1 << 26, 1 << 9 | 1 << 6


def _rp_core(r: Registers) -> float:
    assert r["CLK_SYS_CTRL"] & 0xE1 == 1, "the system takes the PLL"
    assert r["CLK_SYS_DIV"] == 1 << 16
    given = _between(5e6, 12e6 / _field(r["PLL_CS"], 0, 6), 100e6, "the PLL's input")
    vco = _between(750e6, given * _between(16, r["PLL_FBDIV"], 320, "FBDIV"), 1600e6, "the VCO")
    assert r["PLL_PWR"] & 0x29 == 0, "PLL, VCO and dividers have power"
    first, second = _field(r["PLL_PRIM"], 16, 3), _field(r["PLL_PRIM"], 12, 3)
    assert 7 >= first >= second >= 1, "the larger divider comes first"
    return _between(1, vco / first / second, 150e6, "the system's clock")


def _rp_baud(r: Registers) -> float:
    assert r["CLK_PERI_CTRL"] & 0x8E0 == 1 << 11, "the peripherals' clock is on, and the system's"
    assert r["CLK_PERI_DIV"] == 1 << 16
    return _rp_core(r) / 16 / (r["IBRD"] + r["FBRD"] / 64)


RP2350 = Chip(
    registers=_RP,
    pages=(0x40010000, 0x40020000, 0x40028000, 0x40038000, 0x40048000, 0x40050000, 0x40070000, *CORE_PAGES),
    # As a debugger leaves it that resets the core while firmware runs: from the PLL.
    reset={
        "CLK_REF_SELECTED": 1, "CLK_SYS_CTRL": 1, "CLK_SYS_SELECTED": 2, "CLK_SYS_DIV": 1 << 16, "CLK_REF_DIV": 1 << 16,
        "RESET": _UART | _PINS, "RESET_DONE": 0x1BFFBDBF, "PLL_PWR": 0x2D, "PAD0": 0x116, "PAD1": 0x116, "RSR": 0xF,
        "GPIO0_CTRL": 0x1F, "GPIO1_CTRL": 0x1F,
    },
    rules=(
        ((("XOSC_CTRL", 0xFFFFFF, 0xFABAA0),), ("XOSC_STATUS", HIGH, HIGH)),
        ((("CLK_REF_CTRL", 3, 2), ("XOSC_STATUS", HIGH, HIGH)), ("CLK_REF_SELECTED", 0xF, 4)),
        ((("CLK_SYS_CTRL", 1, 0),), ("CLK_SYS_SELECTED", 3, 1)),
        ((("CLK_SYS_CTRL", 0xE1, 1), ("PLL_CS", HIGH, HIGH), ("PLL_PWR", 0x29, 0)), ("CLK_SYS_SELECTED", 3, 2)),
        ((("RESET", _PLL, _PLL),), ("RESET_DONE", _PLL, 0)),
        ((("RESET", _PLL, 0),), ("RESET_DONE", _PLL, _PLL)),
        ((("RESET", _UART, 0),), ("RESET_DONE", _UART, _UART)),
        ((("RESET", _PINS, 0),), ("RESET_DONE", _PINS, _PINS)),
        ((("PLL_PWR", 0x21, 0), ("RESET_DONE", _PLL, _PLL), ("PLL_FBDIV", 0xFFF, 125)), ("PLL_CS", HIGH, HIGH)),
    ),
    core=_rp_core,
    baud=_rp_baud,
    pins=(
        ("RESET", _PLL | _UART | _PINS, 0), ("GPIO0_CTRL", 0x1F, 2), ("GPIO1_CTRL", 0x1F, 2),
        ("PAD0", 0x180, 0), ("PAD1", 0x1CC, 0x48), ("LCR_H", 0xFF, 0x70), ("CR", 0xFFFF, 0x301),
    ),
    sent="DR",
    received="DR",
    ready=(("FR", 0x30, 0),),
    trouble=((("FR", 0x30, 0), ("DR", 0xF00, 0x800)), (("RSR", 0xF, 0),)),
)  # fmt: skip

CHIPS = {"stm32h743": STM32H743, "stm32l4r5": STM32L4R5, "nrf52840": NRF52840, "rp2350": RP2350}
