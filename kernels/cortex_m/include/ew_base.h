/* What every kernel shares: types, the choice of instruction set, requantization.
 *
 * One of three variants is chosen when the kernels are compiled:
 *   EW_MVE       Armv8.1-M with the M-profile vector extension (Helium), integer
 *   EW_DSP       Armv7E-M and Armv8-M with the DSP extension
 *   EW_PORTABLE  C99 alone
 * The compiler's target decides; -DEW_PORTABLE asks for C99 anywhere. -DEW_DSP on another machine takes
 * the C equivalents of the DSP instructions from ew_dsp.h, so that tests run on the host.
 * Packed weights differ between variants: a model is compiled for one of them.
 */
#ifndef EW_BASE_H
#define EW_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(EW_PORTABLE) && !defined(EW_DSP) && !defined(EW_MVE)
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define EW_MVE 1
#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#define EW_DSP 1
#else
#define EW_PORTABLE 1
#endif
#endif

#define EW_INLINE static inline __attribute__((always_inline, unused))

EW_INLINE int32_t ew_min(int32_t a, int32_t b) { return a < b ? a : b; }
EW_INLINE int32_t ew_max(int32_t a, int32_t b) { return a > b ? a : b; }
EW_INLINE int32_t ew_clamp(int32_t x, int32_t low, int32_t high) { return ew_min(ew_max(x, low), high); }

/* Sum modulo 2^32, as the reference's int32 additions come out on every machine; no undefined behaviour. */
EW_INLINE int32_t ew_add32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

/* The upper half of 2ab, rounded to nearest, ties upwards; ab = 2^62 saturates
 * (gemmlowp SaturatingRoundingDoublingHighMul; the instruction VQRDMULH). */
EW_INLINE int32_t ew_high_mul(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^n, n in 0..31, rounded to nearest, ties away from zero (gemmlowp RoundingDivideByPOT). */
EW_INLINE int32_t ew_round_shift(int32_t x, int32_t n) {
    if (n == 0) return x;
    int64_t half = (int64_t)1 << (n - 1);
    return (int32_t)(((int64_t)x + half + (x >> 31)) >> n);
}

/* acc * multiplier * 2^(shift - 31), rounded twice (TFLite MultiplyByQuantizedMultiplier): ew_high_mul and then
 * ew_round_shift, in 32-bit steps where 64-bit ones would cost more.
 * multiplier in [2^30, 2^31) or 0; shift in -31..30, positive to the left. */
EW_INLINE int32_t ew_requantize(int32_t acc, int32_t multiplier, int32_t shift) {
    int32_t left = shift > 0 ? shift : 0, right = left - shift;
    int32_t shifted = (int32_t)((uint32_t)acc << left);
    int32_t high = (int32_t)(((int64_t)shifted * multiplier + ((int64_t)1 << 30)) >> 31);
    uint32_t mask = ((uint32_t)1 << right) - 1;
    return (high >> right) + (int32_t)(((uint32_t)high & mask) > (mask >> 1) + ((uint32_t)high >> 31));
}

#endif
