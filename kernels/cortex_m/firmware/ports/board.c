/* The cycle counter in the core's Data Watchpoint and Trace unit (Armv7-M Architecture Reference Manual, DDI 0403, C1.6 and
 * C1.8; Armv8-M, DDI 0553, D1.2), and what is left to do after a fault: nothing.
 */
#include "board.h"

#define DEMCR EW_REG(0xE000EDFCu)
#define DWT_CTRL EW_REG(0xE0001000u)
#define DWT_CYCCNT EW_REG(0xE0001004u)

#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL_CYCCNTENA (1u << 0)

void ew_cycles_start(void) {
    DEMCR = DEMCR | DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL = DWT_CTRL | DWT_CTRL_CYCCNTENA;
}

uint32_t ew_port_ticks(void) { return DWT_CYCCNT; }

void ew_port_halt(int status) {
    (void)status;
    for (;;) {}
}
