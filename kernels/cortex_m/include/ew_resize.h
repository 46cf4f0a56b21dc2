/* RESIZE_BILINEAR of int8 NHWC images: the fixed point arithmetic of TFLite's reference, 10 bits per axis.
 *
 *     s = y * scale_h + start_h, y0 = clamp(s / 1024), y1 = clamp((s + 1023) / 1024), f = s - 1024 * y0 (columns alike)
 *     out(y, x, c) = sum over the four neighbours of in * weight_y * weight_x / 2^20, half away from zero
 *
 * where the weights are 1024 - f and f. Divisions truncate. s has at most 31 bits; f lies in -512 .. 2047, so that sums
 * stay below 2^31. The output must not overlap with the input. Where rounding of the scale takes y0 beyond the image,
 * TFLite reads what lies there; here y0 is clamped.
 */
#ifndef EW_RESIZE_H
#define EW_RESIZE_H

#include "ew_base.h"

typedef struct {
    int32_t batch, in_h, in_w, channels, out_h, out_w;
    int32_t scale_h, scale_w, start_h, start_w; /* 2^-10 input elements */
} ew_resize_bilinear_t;

void ew_resize_bilinear(const ew_resize_bilinear_t *p, const int8_t *in, int8_t *out);

#endif
