/* What a board gives to the firmware. One file of ports/ implements it; its numbers (EW_PORT_...) come from the device
 * profile, table [parameters.port], as macros.
 */
#ifndef EW_PORT_H
#define EW_PORT_H

#include <stdint.h>

/* Clocks, serial line and counter; called once, with interrupts enabled and the FPU on. */
void ew_port_init(void);

/* One byte of the serial line; waits for it. */
uint8_t ew_port_getc(void);
void ew_port_putc(uint8_t byte);

/* A counter that runs upwards modulo 2^32, EW_PORT_TICK_HZ times a second: the core's clock, where the profile does not
 * say otherwise. */
uint32_t ew_port_ticks(void);

/* Overflows of SysTick, for ports that count with it: startup.c has the handler. */
extern volatile uint32_t ew_tick_overflows;

/* After a fault was reported: does not return. An emulator ends with `status`. */
void ew_port_halt(int status) __attribute__((noreturn));

#endif
