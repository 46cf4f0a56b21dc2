/* STM32H743 on a NUCLEO-H743ZI2 (RM0433; UM2407 for the board): 400 MHz from the internal oscillator, both caches on.
 * Built, not run.
 *
 *     HSI 64 MHz / 10 * 125 = 800 MHz, / 2 = core 400 MHz, / 2 = AXI and AHB 200 MHz, / 2 = APB 100 MHz
 *
 * 400 MHz is what voltage scale 1 allows on every revision of the chip; 480 MHz needs revision V and scale 0.
 * The serial line is USART3, clocked by HSI, on PD8 (out) and PD9 (in).
 */
#include "board.h"

#define RCC 0x58024400u
#define RCC_CR EW_REG(RCC + 0x00u)
#define RCC_CFGR EW_REG(RCC + 0x10u)
#define RCC_D1CFGR EW_REG(RCC + 0x18u)
#define RCC_D2CFGR EW_REG(RCC + 0x1Cu)
#define RCC_D3CFGR EW_REG(RCC + 0x20u)
#define RCC_PLLCKSELR EW_REG(RCC + 0x28u)
#define RCC_PLLCFGR EW_REG(RCC + 0x2Cu)
#define RCC_PLL1DIVR EW_REG(RCC + 0x30u)
#define RCC_D2CCIP2R EW_REG(RCC + 0x54u)
#define RCC_AHB4ENR EW_REG(RCC + 0xE0u)
#define RCC_APB1LENR EW_REG(RCC + 0xE8u)

#define PWR 0x58024800u
#define PWR_CSR1 EW_REG(PWR + 0x04u)
#define PWR_CR3 EW_REG(PWR + 0x0Cu)
#define PWR_D3CR EW_REG(PWR + 0x18u)

#define FLASH_ACR EW_REG(0x52002000u)
#define DBGMCU_IDCODE EW_REG(0x5C001000u)
#define AXI_TARG7_FN_MOD EW_REG(0x51008108u)

#define GPIOD 0x58020C00u
#define GPIOD_MODER EW_REG(GPIOD + 0x00u)
#define GPIOD_PUPDR EW_REG(GPIOD + 0x0Cu)
#define GPIOD_AFRH EW_REG(GPIOD + 0x24u)

/* Cortex-M7 Technical Reference Manual, DDI 0489, section 4; Armv7-M, DDI 0403, B3.2 and B2.2. */
#define CCSIDR EW_REG(0xE000ED80u)
#define CSSELR EW_REG(0xE000ED84u)
#define ICIALLU EW_REG(0xE000EF50u)
#define DCISW EW_REG(0xE000EF60u)
#define DWT_LAR EW_REG(0xE0001FB0u)

#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define CSR1_ACTVOSRDY (1u << 13)
#define D3CR_VOSRDY (1u << 13)
#define CCR_DC (1u << 16)
#define CCR_IC (1u << 17)

enum { HSI = 64000000, PLL_M = 10, PLL_N = 125, PLL_P = 2 };

/* The supply has to be named, once, before the voltage may change: the board uses the internal regulator. */
static void full_voltage(void) {
    PWR_CR3 = (PWR_CR3 & ~7u) | 2u; /* LDOEN */
    while (!(PWR_CSR1 & CSR1_ACTVOSRDY)) {}
    PWR_D3CR = PWR_D3CR | 3u << 14; /* VOS: scale 1 */
    while (!(PWR_D3CR & D3CR_VOSRDY)) {}
}

static void clock_400_mhz(void) {
    FLASH_ACR = 2u << 4 | 2u; /* for 200 MHz at scale 1: RM0433, wait states */
    while ((FLASH_ACR & 0x3Fu) != (2u << 4 | 2u)) {}
    RCC_D1CFGR = 0u << 8 | 4u << 4 | 8u; /* core / 1, APB3 / 2, AXI and AHB / 2 */
    RCC_D2CFGR = 4u << 8 | 4u << 4;      /* APB2 and APB1 / 2 */
    RCC_D3CFGR = 4u << 4;                /* APB4 / 2 */
    RCC_PLLCKSELR = PLL_M << 4;          /* from HSI */
    RCC_PLLCFGR = 1u << 16 | 2u << 2;    /* only output P; 4 to 8 MHz go in; wide range */
    RCC_PLL1DIVR = (PLL_P - 1) << 9 | (PLL_N - 1);
    RCC_CR = RCC_CR | CR_PLL1ON;
    while (!(RCC_CR & CR_PLL1RDY)) {}
    RCC_CFGR = (RCC_CFGR & ~7u) | 3u; /* SW: PLL1 */
    while ((RCC_CFGR & 7u << 3) != 3u << 3) {}
}

/* Revision Y may read wrong data from AXI SRAM, unless it is read from one place at a time (ES0392). */
static void revision_y(void) {
    if (DBGMCU_IDCODE >> 16 < 0x2000u) AXI_TARG7_FN_MOD = 1;
}

/* After reset caches are off, and hold anything. */
static void caches(void) {
    ew_barrier();
    ICIALLU = 0;
    CSSELR = 0; /* data, level 1 */
    ew_barrier();
    uint32_t sets = CCSIDR >> 13 & 0x7FFFu, ways = CCSIDR >> 3 & 0x3FFu; /* both less one; 4 ways, lines of 32 bytes */
    for (uint32_t set = 0; set <= sets; set++)
        for (uint32_t way = 0; way <= ways; way++) DCISW = way << 30 | set << 5;
    ew_barrier();
    EW_CCR = EW_CCR | CCR_DC | CCR_IC;
    ew_barrier();
}

static void serial_line(void) {
    RCC_D2CCIP2R = (RCC_D2CCIP2R & ~7u) | 3u; /* HSI */
    RCC_AHB4ENR = RCC_AHB4ENR | 1u << 3;      /* GPIOD */
    RCC_APB1LENR = RCC_APB1LENR | 1u << 18;   /* USART3 */
    (void)RCC_APB1LENR;
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 7u << 4 | 7u;
    GPIOD_PUPDR = (GPIOD_PUPDR & ~(3u << 18)) | 1u << 18; /* an open line is a quiet one */
    GPIOD_MODER = (GPIOD_MODER & ~(0xFu << 16)) | 2u << 18 | 2u << 16;
    ew_usart_start((HSI + EW_BAUD / 2) / EW_BAUD);
}

void ew_port_init(void) {
    revision_y();
    full_voltage();
    clock_400_mhz();
    caches();
    DWT_LAR = 0xC5ACCE55u; /* the Cortex-M7 locks its counters */
    ew_cycles_start();
    serial_line();
}
