/* Requantization of FULLY_CONNECTED, which LiteRT rounds once: round(acc * multiplier * 2^(shift - 31)), ties away from zero.
 *
 * The reference multiplies in double precision. Multiplier and shift are chosen such that every sum that the weights allow gives
 * the reference's int8 value (targets/tflite_micro/ops/requant.py); a tie is decided by a multiplier that is a little too large,
 * so that ties upwards is all there is to compute. Where 31 bits are not enough for that, `fine` is set, and a word with
 * 32 more bits follows each multiplier. No result reaches 2^31.
 */
#ifndef EW_ONCE_H
#define EW_ONCE_H

#include "ew_base.h"

/* Any shift in -31..30, any multiplier. */
static __attribute__((noinline, unused)) int32_t ew_round_any(
    int32_t acc, const int32_t *multiplier, int32_t shift, int32_t fine) {
    int64_t product = (int64_t)acc * multiplier[0];
    if (fine) product += ((int64_t)acc * (uint32_t)multiplier[1]) >> 32;
    return (int32_t)((product + ((int64_t)1 << (30 - shift))) >> (31 - shift));
}

EW_INLINE int32_t ew_round_once(int32_t acc, const int32_t *multiplier, int32_t shift, int32_t fine) {
    if (fine || shift >= -1) return ew_round_any(acc, multiplier, shift, fine);
    /* The lower word of the product cannot carry into the result. */
    int32_t high = (int32_t)(((int64_t)acc * multiplier[0]) >> 32), right = -1 - shift;
    return (high + (1 << (right - 1))) >> right;
}

#endif
