/* CONV_2D with MVE (ew_conv.h). Weights are packed as OWHI: the order of a window in the ring.
 * Scratch: sums of ew_mve_product, then the ring. */
#include "ew_mve_ring.h"

#if defined(EW_MVE)

static void put(const ew_conv_t *p, int8_t *to, int32_t plane, int32_t cell, const int8_t *row) {
    int32_t across = p->dilation_w, end = ew_mve_ring_columns(p) - p->pad_left;
    for (int32_t part = 0; part < p->groups * across; part++, to += plane) {
        int32_t group = part / across * cell, x = part % across - p->pad_left;
        for (int8_t *at = to; x < end; x += across, at += p->kernel_h * cell) {
            if (row != NULL && (uint32_t)x < (uint32_t)p->in_w)
                ew_mve_copy(at, row + x * p->in_c + group, cell);
            else
                ew_mve_fill(at, p->in_zero, cell);
        }
    }
}

EW_INLINE ew_mve_ring_use_t use_of(const ew_conv_t *p) {
    return (ew_mve_ring_use_t){p->in_c / p->groups, p->groups, 4 * EW_MVE_SUMS, put};
}

void ew_conv_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row) {
    ew_mve_ring_use_t use = use_of(p);
    ew_mve_ring_load(p, scratch, y, row, &use);
}

void ew_conv_row(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out) {
    ew_mve_ring_use_t use = use_of(p);
    int32_t plane = ew_mve_ring_plane(p, use.cell), column = p->kernel_h * use.cell, across = p->dilation_w;
    ew_mve_product_t g = {
        .weights = p->weights, .bias = p->bias, .multiplier = p->multiplier, .shift = p->shift,
        .step = p->stride_w * column, .length = p->kernel_w * column, .channels = p->out_c / p->groups,
        .out_step = across * p->out_c, .out_zero = p->out_zero,
    };
    const int8_t *planes = ew_mve_ring_window(p, scratch, y, &use);
    for (int32_t group = 0; group < p->groups; group++, planes += across * plane) {
        for (int32_t x = 0; x < ew_min(across, p->out_w); x++) {
            g.in = planes + x * p->stride_w % across * plane + x * p->stride_w / across * column;
            g.out = out + x * p->out_c + group * g.channels;
            g.count = (p->out_w - x + across - 1) / across;
            ew_mve_product(&g, scratch);
        }
        g.weights += g.channels * g.length;
        g.bias += g.channels;
        g.multiplier += g.channels;
        g.shift += g.channels;
    }
    ew_mve_limit(out, p->out_w * p->out_c, p->act_min, p->act_max);
}

void ew_conv(const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_mve_ring_image(p, in, out, scratch, ew_conv_load, ew_conv_row);
}

#endif
