/* What elementwise operators share: limits, a rounding product, and the walk over operands of different shapes.
 *
 * An operator of two operands computes runs of `count` elements. In a run operand a moves by one byte per element,
 * and b by `step`, 0 or 1. ew_broadcast() walks an output of any rank run by run, from the first element to the last:
 *
 *     shape = { step, axes, then for each axis beyond the run, innermost first: extent, jump_a, jump_b }
 *
 * `jump` takes an operand from one run to the next when that axis moves on by one and all axes inside of it go back
 * to their start (targets/tflite_micro/ops/broadcast.py). Every element of an operand is read before the output
 * element of the same place is written, so that an operand of the output's shape may lie in its memory. No scratch.
 */
#ifndef EW_BROADCAST_H
#define EW_BROADCAST_H

#include "ew_base.h"

#define EW_BROADCAST_AXES 5

typedef void (*ew_run_t)(const void *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t step);

void ew_broadcast(const int32_t *shape, int32_t count, ew_run_t run, const void *p, const int8_t *a, const int8_t *b,
                  int8_t *out);

/* x within the limits; one instruction when these are the constants of int8. */
EW_INLINE int8_t ew_limit(int32_t x, int32_t low, int32_t high) {
#if defined(__ARM_FEATURE_SAT)
    if (__builtin_constant_p(low) && low == INT8_MIN && __builtin_constant_p(high) && high == INT8_MAX) {
        __asm__("ssat %0, #8, %1" : "=r"(x) : "r"(x));
        return (int8_t)x;
    }
#endif
    return (int8_t)ew_clamp(x, low, high);
}

/* ab / 2^32, rounded to nearest, ties upwards: ew_high_mul(x, m) is ew_round_mul(2x, m) where 2x does not overflow. */
EW_INLINE int32_t ew_round_mul(int32_t a, int32_t b) {
#if defined(EW_DSP) && defined(__ARM_FEATURE_DSP)
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

#endif
