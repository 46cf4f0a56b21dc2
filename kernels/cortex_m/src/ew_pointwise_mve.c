/* CONV_2D with a 1x1 kernel and no padding, with MVE (ew_conv.h). Weights are OI, as in the file: a window is a pixel.
 * Scratch: sums of ew_mve_product. The inputs of a block of pixels are read until its last output was written. */
#include "ew_conv.h"
#include "ew_mve.h"

#if defined(EW_MVE)

static void pixels(const ew_pointwise_t *p, const int8_t *in, int32_t step, int32_t count, int8_t *out, int32_t *sums) {
    ew_mve_product_t g = {
        .in = in, .weights = p->weights, .bias = p->bias, .multiplier = p->multiplier, .shift = p->shift, .out = out,
        .step = step, .length = p->in_c, .count = count, .channels = p->out_c, .out_step = p->out_c,
        .out_zero = p->out_zero,
    };
    ew_mve_product(&g, sums);
    ew_mve_limit(out, count * p->out_c, p->act_min, p->act_max);
}

void ew_pointwise(const ew_pointwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    if (p->stride_h == 1 && p->stride_w == 1) {
        pixels(p, in, p->in_c, p->batch * p->out_h * p->out_w, out, scratch);
        return;
    }
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * p->in_w * p->in_c) {
        for (int32_t y = 0; y < p->out_h; y++, out += p->out_w * p->out_c)
            pixels(p, in + y * p->stride_h * p->in_w * p->in_c, p->stride_w * p->in_c, p->out_w, out, scratch);
    }
}

#endif
