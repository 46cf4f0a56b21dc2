/* From reset to main: vectors, memory, floating point and vector unit, faults.
 *
 * The stack lies below everything else in RAM, so that one that grows too far leaves the memory and faults, instead of
 * overwriting data (on Armv8-M, MSPLIM stops it).
 */
#include "core.h"
#include "firmware.h"
#include "port.h"

extern uint32_t ew_data_start[], ew_data_end[], ew_bss_start[], ew_bss_end[];
extern const uint32_t ew_data_load[];

void ew_reset(void);
void ew_fault_entry(void);
void ew_tick_overflow(void);

volatile uint32_t ew_tick_overflows;
void ew_tick_overflow(void) { ew_tick_overflows++; }

typedef union {
    void (*handler)(void);
    uint32_t *stack;
} vector_t;

#define FAULT {.handler = ew_fault_entry}

__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    {.stack = ew_stack_top}, {.handler = ew_reset}, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT,
    FAULT, FAULT, FAULT, FAULT, {.handler = ew_tick_overflow},
};

__attribute__((noreturn)) void ew_reset(void) {
    EW_VTOR = (uint32_t)vectors;
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
    __asm volatile("msr msplim, %0" ::"r"(ew_stack_low));
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    EW_CPACR |= 0xFu << 20; /* CP10 and CP11: floating point and vectors */
    __asm volatile("dsb\n isb" ::: "memory");
#endif
#if defined(__ARM_FEATURE_MVE)
    EW_CCR |= 1u << 19; /* LOB: low-overhead loops keep their branch */
#endif
    const uint32_t *from = ew_data_load;
    for (uint32_t *to = ew_data_start; to < ew_data_end;) *to++ = *from++;
    for (uint32_t *to = ew_bss_start; to < ew_bss_end;) *to++ = 0;
    ew_main();
}

/* Every fault, on a stack that is known to be good: r0 is where the core has put its registers. */
__attribute__((naked)) void ew_fault_entry(void) {
    __asm volatile(
        "mrs r0, msp\n"
        "mrs r1, ipsr\n"
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
        "movs r2, #0\n"
        "msr msplim, r2\n"
#endif
        "ldr r2, =ew_stack_top\n"
        "mov sp, r2\n"
        "b ew_fault\n");
}
