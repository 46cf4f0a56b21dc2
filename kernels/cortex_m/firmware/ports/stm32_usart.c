/* USART and LPUART of STM32H7 and STM32L4+ (RM0433 and RM0432, the registers of both): polled, with FIFOs on.
 *
 *     EW_PORT_UART_BASE  of the one that leads to the board's USB
 */
#include "board.h"

#define USART_CR1 EW_REG(EW_PORT_UART_BASE + 0x00u)
#define USART_BRR EW_REG(EW_PORT_UART_BASE + 0x0Cu)
#define USART_ISR EW_REG(EW_PORT_UART_BASE + 0x1Cu)
#define USART_ICR EW_REG(EW_PORT_UART_BASE + 0x20u)
#define USART_RDR EW_REG(EW_PORT_UART_BASE + 0x24u)
#define USART_TDR EW_REG(EW_PORT_UART_BASE + 0x28u)

#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_FIFOEN (1u << 29)
#define ISR_ORE (1u << 3)
#define ISR_RXFNE (1u << 5)
#define ISR_TXFNF (1u << 7)
#define ICR_ORECF (1u << 3)

void ew_usart_start(uint32_t divider) {
    USART_CR1 = 0; /* the rest may change only while it is off */
    USART_BRR = divider;
    USART_CR1 = CR1_FIFOEN | CR1_TE | CR1_RE;
    USART_CR1 = CR1_FIFOEN | CR1_TE | CR1_RE | CR1_UE;
}

/* Bytes that came too fast are lost: the protocol notices. The line must go on. */
uint8_t ew_port_getc(void) {
    uint32_t status;
    do {
        status = USART_ISR;
        if (status & ISR_ORE) USART_ICR = ICR_ORECF;
    } while (!(status & ISR_RXFNE));
    return (uint8_t)USART_RDR;
}

void ew_port_putc(uint8_t byte) {
    while (!(USART_ISR & ISR_TXFNF)) {}
    USART_TDR = byte;
}
