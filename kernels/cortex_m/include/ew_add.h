/* ADD and SUB of int8 tensors with any three scales.
 *
 *     out = clamp((factor_a * a + factor_b * b + offset) >> shift, act_min, act_max)
 *
 * The reference rounds each operand to 2^-20 of the larger scale, and the sum twice. targets/tflite_micro/ops/add.py
 * looks for integers with which the formula above gives the same int8 for all 65,536 pairs of operands, and in which
 * no sum leaves 32 bits; nearly all scales have them. ew_add_exact does what the reference does, for those that have
 * none:
 *
 *     term(x) = round_shift(high_mul((x - zero) * 2^20, multiplier), shift)
 *     out     = clamp(round_shift(high_mul(term(a) + term(b), multiplier), shift) + out_zero, act_min, act_max)
 *
 * Operands and output are of one shape, `count` elements, with shape NULL; the broadcast functions and ew_add_exact
 * take operands of two shapes, or of one, as `shape` says (ew_broadcast.h). Elements are computed in order, in place
 * where wanted. No scratch. No alignment.
 */
#ifndef EW_ADD_H
#define EW_ADD_H

#include "ew_broadcast.h"

typedef struct {
    const int32_t *shape;
    int32_t count;
    int32_t factor_a, factor_b, offset;
    int8_t shift; /* 1 to 30 */
    int8_t act_min, act_max;
} ew_add_t;

typedef ew_add_t ew_add_limit_t;
typedef ew_add_t ew_add_broadcast_t;
typedef ew_add_t ew_add_broadcast_limit_t;

/* With the limits of int8, whatever act_min and act_max are. Helium compares in any case and has no such form. */
#if !defined(EW_MVE)
void ew_add(const ew_add_t *p, const int8_t *a, const int8_t *b, int8_t *out);
void ew_add_broadcast(const ew_add_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out);
#endif
/* With limits. */
void ew_add_limit(const ew_add_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out);
void ew_add_broadcast_limit(const ew_add_broadcast_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out);

typedef struct {
    const int32_t *shape;
    int32_t count;
    int32_t multiplier_a, multiplier_b, multiplier; /* the second may be negative: SUB */
    int16_t zero_a, zero_b, out_zero;
    int8_t shift_a, shift_b, shift; /* 0 to 31, to the right */
    int8_t act_min, act_max;
} ew_add_exact_t;

void ew_add_exact(const ew_add_exact_t *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
