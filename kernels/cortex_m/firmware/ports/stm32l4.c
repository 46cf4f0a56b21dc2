/* STM32L4R5 on a NUCLEO-L4R5ZI (RM0432; UM2179 for the board): 120 MHz from the internal oscillator, flash caches on.
 * Built, not run.
 *
 *     HSI16 16 MHz / 4 * 60 = 240 MHz, / 2 = core, AHB and APB 120 MHz
 *
 * The serial line is LPUART1, clocked by HSI16, on PG7 (out) and PG8 (in); these pins have a supply of their own.
 */
#include "board.h"

#define RCC 0x40021000u
#define RCC_CR EW_REG(RCC + 0x00u)
#define RCC_CFGR EW_REG(RCC + 0x08u)
#define RCC_PLLCFGR EW_REG(RCC + 0x0Cu)
#define RCC_AHB2ENR EW_REG(RCC + 0x4Cu)
#define RCC_APB1ENR1 EW_REG(RCC + 0x58u)
#define RCC_APB1ENR2 EW_REG(RCC + 0x5Cu)
#define RCC_CCIPR EW_REG(RCC + 0x88u)

#define PWR 0x40007000u
#define PWR_CR1 EW_REG(PWR + 0x00u)
#define PWR_CR2 EW_REG(PWR + 0x04u)
#define PWR_SR2 EW_REG(PWR + 0x14u)
#define PWR_CR5 EW_REG(PWR + 0x80u)

#define FLASH_ACR EW_REG(0x40022000u)

#define GPIOG 0x48001800u
#define GPIOG_MODER EW_REG(GPIOG + 0x00u)
#define GPIOG_PUPDR EW_REG(GPIOG + 0x0Cu)
#define GPIOG_AFRL EW_REG(GPIOG + 0x20u)
#define GPIOG_AFRH EW_REG(GPIOG + 0x24u)

#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define CR2_IOSV (1u << 9)
#define SR2_VOSF (1u << 10)
#define CR5_R1MODE (1u << 8)

enum { HSI16 = 16000000, PLL_M = 4, PLL_N = 60 };

/* Range 1 boost mode, for more than 80 MHz. */
static void full_voltage(void) {
    RCC_APB1ENR1 = RCC_APB1ENR1 | 1u << 28; /* PWR */
    (void)RCC_APB1ENR1;
    PWR_CR1 = (PWR_CR1 & ~(3u << 9)) | 1u << 9; /* VOS: range 1 */
    while (PWR_SR2 & SR2_VOSF) {}
    PWR_CR5 = PWR_CR5 & ~CR5_R1MODE;
}

/* The AHB has to run at half the speed for a microsecond (RM0432, dynamic voltage scaling); so does the core. */
static void clock_120_mhz(void) {
    FLASH_ACR = 1u << 10 | 1u << 9 | 5u; /* both caches on, prefetch off, wait states for 120 MHz */
    while ((FLASH_ACR & 0xFu) != 5u) {}
    RCC_CR = RCC_CR | CR_HSION;
    while (!(RCC_CR & CR_HSIRDY)) {}
    RCC_PLLCFGR = 1u << 24 | PLL_N << 8 | (PLL_M - 1) << 4 | 2u; /* output R on, / 2; from HSI16 */
    RCC_CR = RCC_CR | CR_PLLON;
    while (!(RCC_CR & CR_PLLRDY)) {}
    RCC_CFGR = 8u << 4 | 3u; /* AHB / 2, from the PLL */
    while ((RCC_CFGR & 3u << 2) != 3u << 2) {}
    for (uint32_t start = ew_port_ticks(); ew_port_ticks() - start < EW_PORT_TICK_HZ / 1000000u;) {}
    RCC_CFGR = 3u;
}

static void serial_line(void) {
    RCC_CCIPR = (RCC_CCIPR & ~(3u << 10)) | 2u << 10; /* HSI16 */
    RCC_AHB2ENR = RCC_AHB2ENR | 1u << 6;              /* GPIOG */
    RCC_APB1ENR2 = RCC_APB1ENR2 | 1u << 0;            /* LPUART1 */
    (void)RCC_APB1ENR2;
    PWR_CR2 = PWR_CR2 | CR2_IOSV; /* the pins' supply is there */
    GPIOG_AFRL = (GPIOG_AFRL & ~(0xFu << 28)) | 8u << 28;
    GPIOG_AFRH = (GPIOG_AFRH & ~0xFu) | 8u;
    GPIOG_PUPDR = (GPIOG_PUPDR & ~(3u << 16)) | 1u << 16; /* an open line is a quiet one */
    GPIOG_MODER = (GPIOG_MODER & ~(0xFu << 14)) | 2u << 16 | 2u << 14;
    ew_usart_start((uint32_t)((256ull * HSI16 + EW_BAUD / 2) / EW_BAUD));
}

void ew_port_init(void) {
    ew_cycles_start();
    full_voltage();
    clock_120_mhz();
    serial_line();
}
