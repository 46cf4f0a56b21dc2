/* RP2350 on a Raspberry Pi Pico 2, on one of its Cortex-M33 cores (RP2350 Datasheet, sections in brackets): 150 MHz from the
 * crystal. Code and constants stay in flash, which is read as the boot ROM left it: the first way that it tries is four
 * bits wide, at a third of the core's clock (5.2.7). Built, not run.
 *
 *     EW_PORT_UART_BASE  UART 0, on GPIO 0 (out) and GPIO 1 (in); the USB connector is not used
 *
 *     XOSC 12 MHz * 125 = 1500 MHz, / 5 / 2 = core and peripherals 150 MHz
 */
#include "board.h"

#define CLOCKS 0x40010000u
#define CLK_REF_CTRL EW_REG(CLOCKS + 0x30u)
#define CLK_REF_DIV EW_REG(CLOCKS + 0x34u)
#define CLK_REF_SELECTED EW_REG(CLOCKS + 0x38u)
#define CLK_SYS_CTRL EW_REG(CLOCKS + 0x3Cu)
#define CLK_SYS_DIV EW_REG(CLOCKS + 0x40u)
#define CLK_SYS_SELECTED EW_REG(CLOCKS + 0x44u)
#define CLK_PERI_CTRL EW_REG(CLOCKS + 0x48u)
#define CLK_PERI_DIV EW_REG(CLOCKS + 0x4Cu)

#define RESETS_RESET EW_REG(0x40020000u)
#define RESETS_DONE EW_REG(0x40020008u)

#define IO_BANK0 0x40028000u
#define GPIO0_CTRL EW_REG(IO_BANK0 + 0x04u)
#define GPIO1_CTRL EW_REG(IO_BANK0 + 0x0Cu)
#define PADS_BANK0 0x40038000u
#define PADS_GPIO0 EW_REG(PADS_BANK0 + 0x04u)
#define PADS_GPIO1 EW_REG(PADS_BANK0 + 0x08u)

#define XOSC 0x40048000u
#define XOSC_CTRL EW_REG(XOSC + 0x00u)
#define XOSC_STATUS EW_REG(XOSC + 0x04u)
#define XOSC_STARTUP EW_REG(XOSC + 0x0Cu)

#define PLL_SYS 0x40050000u
#define PLL_CS EW_REG(PLL_SYS + 0x00u)
#define PLL_PWR EW_REG(PLL_SYS + 0x04u)
#define PLL_FBDIV EW_REG(PLL_SYS + 0x08u)
#define PLL_PRIM EW_REG(PLL_SYS + 0x0Cu)

#define UART_DR EW_REG(EW_PORT_UART_BASE + 0x00u)
#define UART_RSR EW_REG(EW_PORT_UART_BASE + 0x04u)
#define UART_FR EW_REG(EW_PORT_UART_BASE + 0x18u)
#define UART_IBRD EW_REG(EW_PORT_UART_BASE + 0x24u)
#define UART_FBRD EW_REG(EW_PORT_UART_BASE + 0x28u)
#define UART_LCR_H EW_REG(EW_PORT_UART_BASE + 0x2Cu)
#define UART_CR EW_REG(EW_PORT_UART_BASE + 0x30u)

#define RESET_IO_BANK0 (1u << 6)
#define RESET_PADS_BANK0 (1u << 9)
#define RESET_PLL_SYS (1u << 14)
#define RESET_UART0 (1u << 26)
#define XOSC_STABLE (1u << 31)
#define PLL_LOCK (1u << 31)
#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)

enum { PLL_FEEDBACK = 125, PLL_POST1 = 5, PLL_POST2 = 2 };

/* By this the boot ROM knows a program for an Arm core in the Secure state; it wants it in the first 4 KiB of flash (5.9.5).
 * The vectors are at the beginning, where it looks for them when it is not told otherwise. */
__attribute__((section(".board.image_def"), used)) static const uint32_t image_def[5] = {
    0xFFFFDED3u, /* begin */
    0x10210142u, /* type of image, one word: executable, Secure, Arm, RP2350 */
    0x000001FFu, /* last item; one word of items before */
    0x00000000u, /* the next block is this one */
    0xAB123579u, /* end */
};

static void release(uint32_t blocks) {
    RESETS_RESET = RESETS_RESET & ~blocks;
    while ((RESETS_DONE & blocks) != blocks) {}
}

/* Also when it runs already: a debugger resets the core and nothing else. */
static void crystal(void) {
    XOSC_STARTUP = 188;    /* times 256 periods: 4 ms */
    XOSC_CTRL = 0xFABAA0u; /* on, 1 to 15 MHz (8.2.8) */
    while (!(XOSC_STATUS & XOSC_STABLE)) {}
    CLK_REF_CTRL = 2; /* the crystal */
    CLK_REF_DIV = 1u << 16;
    while (CLK_REF_SELECTED != 1u << 2) {}
    CLK_SYS_CTRL = CLK_SYS_CTRL & ~1u; /* away from the PLL: to the reference */
    while (CLK_SYS_SELECTED != 1u << 0) {}
}

static void clock_150_mhz(void) {
    RESETS_RESET = RESETS_RESET | RESET_PLL_SYS;
    release(RESET_PLL_SYS);
    PLL_CS = 1; /* 12 MHz go in */
    PLL_FBDIV = PLL_FEEDBACK;
    PLL_PWR = PLL_PWR & ~(1u << 5 | 1u << 0); /* VCO and all on, then the dividers (8.6.4) */
    while (!(PLL_CS & PLL_LOCK)) {}
    PLL_PRIM = PLL_POST1 << 16 | PLL_POST2 << 12;
    PLL_PWR = PLL_PWR & ~(1u << 3);
    CLK_SYS_DIV = 1u << 16;
    CLK_SYS_CTRL = 0u << 5; /* the source beside the reference: the PLL; then it is taken */
    CLK_SYS_CTRL = 0u << 5 | 1u;
    while (CLK_SYS_SELECTED != 1u << 1) {}
}

static void serial_line(void) {
    CLK_PERI_CTRL = 0;
    CLK_PERI_DIV = 1u << 16;
    CLK_PERI_CTRL = 1u << 11; /* on, the system's clock */
    RESETS_RESET = RESETS_RESET | RESET_UART0;
    release(RESET_UART0 | RESET_IO_BANK0 | RESET_PADS_BANK0);
    uint32_t divider = (8u * EW_PORT_TICK_HZ / EW_BAUD + 1u) / 2u; /* 64ths of clock / (16 * baud) (12.1.7.1) */
    UART_IBRD = divider >> 6;
    UART_FBRD = divider & 63u;
    UART_LCR_H = 3u << 5 | 1u << 4; /* 8 bits, FIFOs on */
    UART_CR = 1u << 9 | 1u << 8 | 1u;
    GPIO0_CTRL = 2; /* UART */
    GPIO1_CTRL = 2;
    PADS_GPIO0 = 1u << 4 | 1u << 1;                     /* 4 mA, Schmitt trigger; no longer held (ISO) */
    PADS_GPIO1 = 1u << 6 | 1u << 4 | 1u << 3 | 1u << 1; /* input, pulled up: an open line is a quiet one */
}

void ew_port_init(void) {
    crystal();
    clock_150_mhz();
    ew_cycles_start();
    serial_line();
}

/* Bytes that came too fast are lost: the protocol notices. The line must go on. */
uint8_t ew_port_getc(void) {
    while (UART_FR & FR_RXFE) {}
    uint32_t data = UART_DR;
    if (data >> 8) UART_RSR = 0;
    return (uint8_t)data;
}

void ew_port_putc(uint8_t byte) {
    while (UART_FR & FR_TXFF) {}
    UART_DR = byte;
}
