/* Arm MPS2 and MPS3 boards and QEMU's models of them: CMSDK APB UART (Cortex-M System Design Kit, DDI 0479, section 4.3),
 * SysTick as the counter (24 bits, and overflows).
 *
 *     EW_PORT_UART_BASE, EW_PORT_UART_IRQ  UART 0 and its receive interrupt
 *     EW_PORT_TICK_HZ                      the core's clock
 *
 * An emulated UART hands over one byte at a time, some 20 us each. Who starts the emulator may have it write FAST into
 * ew_port_line before reset: then bytes go through semihosting's standard input and output instead, many at a time,
 * and the end of the input ends the emulator (Arm semihosting specification 2023Q3, section 7).
 */
#include "../core.h"
#include "../port.h"

#define UART_DATA EW_REG(EW_PORT_UART_BASE + 0x0u)
#define UART_STATE EW_REG(EW_PORT_UART_BASE + 0x4u)
#define UART_CTRL EW_REG(EW_PORT_UART_BASE + 0x8u)
#define UART_INTCLEAR EW_REG(EW_PORT_UART_BASE + 0xCu)
#define UART_BAUDDIV EW_REG(EW_PORT_UART_BASE + 0x10u)

enum { TX_FULL = 1, RX_FULL = 2 };
enum { TX_ENABLE = 1, RX_ENABLE = 2, RX_INTERRUPT = 8 };
enum { SYS_OPEN = 1, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT_EXTENDED = 0x20 };
enum { READ_MODE = 0, WRITE_MODE = 4, FAST = 0x54534146, ROOM = 128 };

/* Not cleared at reset. */
#define KEPT __attribute__((section(".noinit")))

volatile uint32_t ew_port_line KEPT;

/* Handles and fill of the two buffers; together, so that they share an address in the code. */
static struct {
    uint32_t input, output, at, filled, waiting;
} console;
static struct {
    uint8_t in[ROOM], out[ROOM];
} buffer KEPT;

static uint32_t semihosting(uint32_t operation, uint32_t a, const void *b, uint32_t c) {
    const uint32_t block[3] = {a, (uint32_t)b, c};
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = block;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t open_console(uint32_t mode) { return semihosting(SYS_OPEN, (uint32_t)":tt", (const void *)mode, 3); }

static void flush(void) {
    if (console.waiting) semihosting(SYS_WRITE, console.output, buffer.out, console.waiting);
    console.waiting = 0;
}

void ew_port_halt(int status) {
    flush();
    semihosting(SYS_EXIT_EXTENDED, 0x20026, (const void *)status, 0);
    for (;;) {}
}

void ew_port_init(void) {
    EW_SYST_RVR = 0xFFFFFF;
    EW_SYST_CVR = 0;
    EW_SYST_CSR = 7; /* the core's clock, interrupt at zero, on */
    if (ew_port_line == FAST) {
        console.input = open_console(READ_MODE);
        console.output = open_console(WRITE_MODE);
    } else {
        UART_BAUDDIV = 16;
        UART_CTRL = TX_ENABLE | RX_ENABLE | RX_INTERRUPT;
    }
}

/* Sleeps until a byte is there. The interrupt is enabled at the NVIC only while all are masked: it wakes the core, and
 * no handler runs. */
static uint8_t uart_getc(void) {
    while (!(UART_STATE & RX_FULL)) {
        __asm volatile("cpsid i" ::: "memory");
        EW_NVIC_ISER(EW_PORT_UART_IRQ) = EW_BIT(EW_PORT_UART_IRQ);
        __asm volatile("dsb\n wfi" ::: "memory");
        EW_NVIC_ICER(EW_PORT_UART_IRQ) = EW_BIT(EW_PORT_UART_IRQ);
        UART_INTCLEAR = RX_FULL;
        EW_NVIC_ICPR(EW_PORT_UART_IRQ) = EW_BIT(EW_PORT_UART_IRQ);
        __asm volatile("cpsie i" ::: "memory");
    }
    return (uint8_t)UART_DATA;
}

uint8_t ew_port_getc(void) {
    if (ew_port_line != FAST) return uart_getc();
    if (console.at == console.filled) {
        flush();
        console.at = 0;
        console.filled = ROOM - semihosting(SYS_READ, console.input, buffer.in, ROOM);
        if (console.filled == 0) ew_port_halt(0);
    }
    return buffer.in[console.at++];
}

void ew_port_putc(uint8_t byte) {
    if (ew_port_line == FAST) {
        buffer.out[console.waiting++] = byte;
        if (console.waiting == ROOM) flush();
    } else {
        while (UART_STATE & TX_FULL) {}
        UART_DATA = byte;
    }
}

uint32_t ew_port_ticks(void) {
    uint32_t overflows, left;
    do {
        overflows = ew_tick_overflows;
        left = EW_SYST_CVR;
    } while (overflows != ew_tick_overflows);
    return (overflows << 24) + (0xFFFFFF - left);
}
