/* What the ports of real boards share: barriers, the cycle counter, the end. */
#ifndef EW_BOARD_H
#define EW_BOARD_H

#include "../core.h"
#include "../port.h"

enum { EW_BAUD = 115200 }; /* 8 data bits, no parity, one stop bit */

/* What was written is done, and holds for what follows. */
static inline void ew_barrier(void) { __asm volatile("dsb\n isb" ::: "memory"); }

/* Starts the counter that ew_port_ticks() reads: one tick is one cycle of the core. */
void ew_cycles_start(void);

/* The serial line of stm32_usart.c; `divider` is what the register BRR wants. Clock and pins come before. */
void ew_usart_start(uint32_t divider);

#endif
