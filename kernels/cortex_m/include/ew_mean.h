/* Means of int8 tensors over one axis. */
#ifndef EW_MEAN_H
#define EW_MEAN_H

#include "ew_base.h"

/* AVERAGE_POOL_2D whose window is the whole image:
 *
 *     out(n, c) = clamp(average of in(n, i, c) over 0 <= i < pixels, act_min, act_max)
 *
 * rounded to nearest, half away from zero. Channels are written in order, each after its image was read: the output may be
 * in place. No alignment. pixels is below 2^24. */
typedef struct {
    int32_t batch, pixels, channels;
    int8_t act_min, act_max;
} ew_global_average_t;
void ew_global_average(const ew_global_average_t *p, const int8_t *in, int8_t *out);

/* MEAN and SUM over one axis: out(n, c) = clamp(requantize(offset + sum of in(n, i, c)) + out_zero).
 * offset is -in_zero * pixels; a mean has 1 / pixels in its multiplier. As to the rest like ew_global_average. */
typedef struct {
    int32_t batch, pixels, channels;
    int32_t offset, multiplier;
    int8_t shift, out_zero;
} ew_mean_t;
void ew_mean(const ew_mean_t *p, const int8_t *in, int8_t *out);

#endif
