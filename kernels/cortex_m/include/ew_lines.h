/* One output row of a depthwise convolution, channel by channel (portable and DSP).
 *
 *     out[n * out_step + o] = clamp8(requantize(bias[o] + sum weights[o, i] * window[o / per * apart + n * step + i]) + out_zero)
 *
 * for n = 0 to count - 1, o = 0 to channels - 1, i = 0 to taps - 1. Values are int8 in the portable variant and int16 with DSP, where
 * weights are in the order 0 2 1 3 in every four and a rest as it is, bias and multiplier lie together in `bias`, `shift`
 * holds steps (ew_dsp.h), and `pairs` is scratch for taps / 2 words.
 */
#ifndef EW_LINES_H
#define EW_LINES_H

#include "ew_ring.h"

#if defined(EW_DSP)
typedef int16_t ew_value_t;
#else
typedef int8_t ew_value_t;
#endif

typedef struct {
    const ew_value_t *window;
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const int8_t *shift;
    int8_t *out;
    uint32_t *pairs;
    int32_t channels, taps, count;
    int32_t per, apart, step, out_step, out_zero;
} ew_lines_t;

void ew_lines(const ew_lines_t *l);

/* `put` of ew_ring.h. */
void ew_scatter(const ew_conv_t *p, const ew_pixels_t *x);

#endif
