/* SVDF (Nakkiran et al. 2015), integer form of TFLite: each of units * rank filters keeps the last `memory` values of
 * its dot product with the input, and looks back at them.
 *
 *     newest(f) = saturate16(requantize(bias_feature[f] + sum feature[f, i] * x[i]))
 *     state(f)  = state(f) without its oldest value, then newest(f)
 *     out(u)    = saturate8(requantize(bias[u] + sum time[f, m] * state(f)[m]) + out_zero), over m and u's filters f
 *
 * with multiplier_feature and multiplier_time; sums are modulo 2^32. The zero point of x times the sums of the feature
 * weights is in bias_feature. feature: four filters at a time as ew_dot4 takes them, the last four filled up with
 * zeros. state: (batch, filters, memory); between two calls it is already moved by one place, and the last waits for
 * the newest. Scratch: in_c rounded up to 4 bytes.
 */
#ifndef EW_SVDF_H
#define EW_SVDF_H

#include "ew_base.h"

typedef struct {
    const int8_t *feature;
    const int32_t *bias_feature; /* filters, rounded up to a multiple of 4 */
    const int16_t *time;         /* (filters, memory) */
    const int32_t *bias;         /* units */
    int32_t multiplier_feature, multiplier_time;
    int16_t batch, in_c, units, rank, memory;
    int8_t shift_feature, shift_time, out_zero;
} ew_svdf_t;

/* `state` is read and written. The output may overwrite the input when batch is 1. */
void ew_svdf(const ew_svdf_t *p, const int8_t *in, int8_t *out, int16_t *state, void *scratch);

#endif
