/* nRF52840 on an nRF52840-DK (nRF52840 Product Specification v1.7): 64 MHz, which is the only clock, from the crystal; DC/DC
 * converter and instruction cache on. Built, not run.
 *
 *     EW_PORT_UART_BASE  UART0, without EasyDMA: it holds six bytes
 *
 * The serial line is on P0.06 (out) and P0.08 (in).
 */
#include "board.h"

#define CLOCK_TASKS_HFCLKSTART EW_REG(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED EW_REG(0x40000100u)
#define POWER_DCDCEN EW_REG(0x40000578u)
#define NVMC_ICACHECNF EW_REG(0x4001E540u)

#define P0 0x50000000u
#define P0_OUTSET EW_REG(P0 + 0x508u)
#define P0_PIN_CNF_6 EW_REG(P0 + 0x718u)
#define P0_PIN_CNF_8 EW_REG(P0 + 0x720u)

#define UART_TASKS_STARTRX EW_REG(EW_PORT_UART_BASE + 0x000u)
#define UART_TASKS_STARTTX EW_REG(EW_PORT_UART_BASE + 0x008u)
#define UART_EVENTS_RXDRDY EW_REG(EW_PORT_UART_BASE + 0x108u)
#define UART_EVENTS_TXDRDY EW_REG(EW_PORT_UART_BASE + 0x11Cu)
#define UART_ENABLE EW_REG(EW_PORT_UART_BASE + 0x500u)
#define UART_PSELTXD EW_REG(EW_PORT_UART_BASE + 0x50Cu)
#define UART_PSELRXD EW_REG(EW_PORT_UART_BASE + 0x514u)
#define UART_RXD EW_REG(EW_PORT_UART_BASE + 0x518u)
#define UART_TXD EW_REG(EW_PORT_UART_BASE + 0x51Cu)
#define UART_BAUDRATE EW_REG(EW_PORT_UART_BASE + 0x524u)
#define UART_CONFIG EW_REG(EW_PORT_UART_BASE + 0x56Cu)

enum { TX_PIN = 6, RX_PIN = 8 };

static void serial_line(void) {
    P0_OUTSET = 1u << TX_PIN;
    P0_PIN_CNF_6 = 1u << 1 | 1u << 0; /* output, no input */
    P0_PIN_CNF_8 = 3u << 2;           /* input, pulled up: an open line is a quiet one */
    UART_PSELTXD = TX_PIN;
    UART_PSELRXD = RX_PIN;
    UART_BAUDRATE = 0x01D7E000u; /* 115200: the specification's table of rates */
    UART_CONFIG = 0;             /* no parity, one stop bit, no flow control */
    UART_ENABLE = 4;
    UART_TASKS_STARTTX = 1;
    UART_TASKS_STARTRX = 1;
}

void ew_port_init(void) {
    POWER_DCDCEN = 1; /* the board has the coil */
    NVMC_ICACHECNF = 1;
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    while (!CLOCK_EVENTS_HFCLKSTARTED) {}
    ew_cycles_start();
    serial_line();
}

/* Bytes that came too fast are lost, which does not stop this UART: the protocol notices. */
uint8_t ew_port_getc(void) {
    while (!UART_EVENTS_RXDRDY) {}
    UART_EVENTS_RXDRDY = 0; /* before the byte is taken: then the next one may come */
    (void)UART_EVENTS_RXDRDY;
    return (uint8_t)UART_RXD;
}

void ew_port_putc(uint8_t byte) {
    UART_TXD = byte;
    while (!UART_EVENTS_TXDRDY) {}
    UART_EVENTS_TXDRDY = 0;
}
