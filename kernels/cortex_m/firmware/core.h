/* Registers that every Cortex-M has (Armv7-M Architecture Reference Manual, DDI 0403, B3.2; Armv8-M, DDI 0553, D1.2). */
#ifndef EW_CORE_H
#define EW_CORE_H

#include <stdint.h>

#define EW_REG(address) (*(volatile uint32_t *)(address))

#define EW_SYST_CSR EW_REG(0xE000E010u)
#define EW_SYST_RVR EW_REG(0xE000E014u)
#define EW_SYST_CVR EW_REG(0xE000E018u)
#define EW_NVIC_ISER(n) EW_REG(0xE000E100u + 4u * ((n) / 32u))
#define EW_NVIC_ICER(n) EW_REG(0xE000E180u + 4u * ((n) / 32u))
#define EW_NVIC_ICPR(n) EW_REG(0xE000E280u + 4u * ((n) / 32u))
#define EW_VTOR EW_REG(0xE000ED08u)
#define EW_CCR EW_REG(0xE000ED14u)
#define EW_CFSR EW_REG(0xE000ED28u) /* then HFSR, DFSR, MMFAR, BFAR */
#define EW_CPACR EW_REG(0xE000ED88u)

#define EW_BIT(n) (1u << ((n) % 32u))

#endif
