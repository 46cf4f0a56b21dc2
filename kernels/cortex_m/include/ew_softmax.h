/* SOFTMAX of int8 tensors along the last axis, in the reference's fixed point; the output has scale 1/256 and zero
 * point -128.
 *
 * With d = in - (largest of the row), an element counts where d >= diff_min (an integer, 0 or below):
 *
 *     e    = exp(high_mul(d * 2^shift, multiplier)), argument with 26 fraction bits, result with 31
 *     sum  = sum of round_shift(e, 12), 19 fraction bits
 *     out  = min(round_shift(high_mul(e, 1 / sum), bits), 255) - 128, and -128 for an element that does not count
 *
 * exp is a Taylor series around -1/8 on [-1/4, 0) times powers of e for the other bits of the argument; 1 / sum is
 * three Newton-Raphson steps from 48/17 - 32/17 x (gemmlowp's fixed point). `rows` rows of `depth` elements, depth at
 * most 511 so that sum stays within what the reference accepts. Rows are computed in order, in place where wanted. No
 * scratch. No alignment.
 */
#ifndef EW_SOFTMAX_H
#define EW_SOFTMAX_H

#include "ew_base.h"

typedef struct {
    int32_t multiplier;
    int32_t rows, depth;
    int16_t diff_min;
    int8_t shift; /* 0 to 31 */
} ew_softmax_t;

void ew_softmax(const ew_softmax_t *p, const int8_t *in, int8_t *out);

#endif
