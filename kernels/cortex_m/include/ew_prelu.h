/* PRELU of int8 tensors: with d = in - in's zero and e = alpha - alpha's zero,
 *
 *     out = clamp(requantize(d >= 0 ? d : d * e) + out's zero, -128, 127)
 *
 * with one multiplier for each sign and the two roundings of ew_requantize(), in the steps of ew_mul.h:
 *
 *     y   = round_mul(d * lift[s] * (s ? e : 1), multiplier[s])        s = d < 0
 *     out = clamp((y + (y < 0 ? tie[s] : 0) + offset[s]) >> shift[s], -128, 127)        tie[0] does not matter
 *
 * alpha is broadcast to the shape of the input by `shape` (ew_broadcast.h). Elements are computed in order, in place
 * where wanted. No scratch. No alignment.
 */
#ifndef EW_PRELU_H
#define EW_PRELU_H

#include "ew_broadcast.h"

typedef struct {
    const int32_t *shape;
    int32_t count;
    int32_t multiplier[2], lift[2], offset[2];
    int16_t zero_in, zero_alpha;
    int8_t shift[2], tie[2];
} ew_prelu_t;

void ew_prelu(const ew_prelu_t *p, const int8_t *in, const int8_t *alpha, int8_t *out);

#endif
