/* One output row of a depthwise convolution, channel by channel (portable and DSP).
 *
 *     out[n * out_step + o] = clamp(requantize(bias[o] + sum weights[o, i] * value(c, n, i)) + out_zero)
 *
 * where value(c, n, i) is value i of the window that begins c * apart + n * step bytes behind `window` (ew_windows_t), for
 * c = o / (out_c / in_c), n = 0 to count - 1, o = 0 to out_c - 1, i = 0 to kernel_w * kernel_h - 1.
 *
 * Values are int8 in the portable variant, int16 with DSP, where weights are in the order 0 2 1 3 in every four and a rest as it
 * is, and scratch has a word for every two taps.
 */
#ifndef EW_LINES_H
#define EW_LINES_H

#include "ew_ring.h"

#if defined(EW_DSP)
typedef int16_t ew_value_t;
#else
typedef int8_t ew_value_t;
#endif

/* `put` and `compute` of ew_ring.h. */
void ew_scatter(const ew_conv_t *p, const ew_pixels_t *x);
void ew_lines(const ew_conv_t *p, const ew_windows_t *w);

#endif
