/* Between start-up code, protocol and linker script. */
#ifndef EW_FIRMWARE_H
#define EW_FIRMWARE_H

#include <stdint.h>

/* From the linker script. */
extern uint32_t ew_stack_low[], ew_stack_top[];

void ew_main(void) __attribute__((noreturn));
/* `frame` is r0-r3, r12, lr, pc, psr as the core stacked them; `exception` is its number. */
void ew_fault(const uint32_t *frame, uint32_t exception) __attribute__((noreturn, used));

/* Does nothing. Instruction counters watch this address: a phase ends where it is called. */
void ew_mark(void) __attribute__((noinline));

#endif
