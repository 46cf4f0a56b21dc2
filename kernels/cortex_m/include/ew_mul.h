/* MUL of int8 tensors with any three scales.
 *
 *     out = clamp(requantize((a - a's zero) * (b - b's zero)) + out's zero, act_min, act_max)
 *
 * with the two roundings of ew_requantize(), in fewer steps:
 *
 *     x   = (a * lift + add_a) * (b + add_b)      lift = 2^(1 + left shift), add_a = -lift * zero, add_b = -zero
 *     y   = round_mul(x, multiplier)
 *     out = clamp((y + (y < 0 ? tie : 0) + offset) >> shift, act_min, act_max)
 *
 * tie is -1 (halves go away from zero), or 0 where shift is 0; offset = 2^(shift - 1) + out's zero * 2^shift. A right
 * shift of more than 22 gives the same as one of 22. Operands and output are of one shape, `count` elements, with
 * shape NULL; the broadcast functions take operands of two shapes (ew_broadcast.h). Elements are computed in order,
 * in place where wanted. No scratch. No alignment.
 */
#ifndef EW_MUL_H
#define EW_MUL_H

#include "ew_broadcast.h"

typedef struct {
    const int32_t *shape;
    int32_t count;
    int32_t multiplier; /* 0, or 2^30 to 2^31 - 1 */
    int32_t lift;       /* 2 to 2^15 */
    int32_t add_a, offset;
    int16_t add_b;
    int8_t shift, tie; /* shift: 0 to 22 */
    int8_t act_min, act_max;
} ew_mul_t;

typedef ew_mul_t ew_mul_limit_t;
typedef ew_mul_t ew_mul_broadcast_t;
typedef ew_mul_t ew_mul_broadcast_limit_t;

/* With the limits of int8, whatever act_min and act_max are. Helium compares in any case and has no such form. */
#if !defined(EW_MVE)
void ew_mul(const ew_mul_t *p, const int8_t *a, const int8_t *b, int8_t *out);
void ew_mul_broadcast(const ew_mul_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out);
#endif
/* With limits. */
void ew_mul_limit(const ew_mul_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out);
void ew_mul_broadcast_limit(const ew_mul_broadcast_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
