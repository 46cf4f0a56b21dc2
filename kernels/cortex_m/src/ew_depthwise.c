#include "ew_depthwise.h"
#include "ew_limit.h"
#include "ew_lines.h"
#include "ew_ring.h"

#if !defined(EW_MVE)

/* Padded row y, one plane per channel; NULL for one above or below the image. */
static void store(const ew_depthwise_t *p, void *planes, int32_t y, const int8_t *row) {
    ew_ring_t ring = ew_ring(p, p->in_c);
    ew_value_t *first = (ew_value_t *)ew_ring_next(p, &ring, planes, y, sizeof(ew_value_t));
    int32_t apart = p->dilation_w * ring.cells;
    for (int32_t x = 0; x < ring.columns; x++) {
        ew_value_t *to = first + x % p->dilation_w * ring.cells + x / p->dilation_w * p->kernel_h;
        int32_t column = x - p->pad_left;
        if (row && column >= 0 && column < p->in_w) {
            ew_scatter(to, apart, row + column * p->in_c, p->in_c);
        } else {
            for (int32_t c = 0; c < p->in_c; c++, to += apart) *to = p->in_zero;
        }
    }
}

void ew_depthwise_load(const ew_depthwise_t *p, void *scratch, int32_t y, const int8_t *row) {
    for (int32_t i = 0; i < p->pad_top && y == 0; i++) store(p, scratch, i, NULL);
    if (p->pad_top + y < ew_ring_needed(p, p->out_h - 1)) store(p, scratch, p->pad_top + y, row);
}

void ew_depthwise_row(const ew_depthwise_t *p, void *scratch, int32_t y, int8_t *out) {
    int32_t below = p->pad_top + p->in_h, needed = ew_ring_needed(p, y);
    if (y > 0) below = ew_max(below, needed - p->stride_h);
    for (; below < needed; below++) store(p, scratch, below, NULL);

    ew_ring_t ring = ew_ring(p, p->in_c);
    const ew_value_t *plane = (const ew_value_t *)ew_ring_window(p, &ring, scratch, y, sizeof *plane);
    ew_lines_t l = {NULL, p->weights, p->bias, p->multiplier, p->shift, NULL, NULL, p->out_c, p->kernel_h * p->kernel_w,
                    0, p->out_c / p->in_c, p->dilation_w * ring.cells, p->stride_w * p->kernel_h,
                    p->dilation_w * p->out_c, p->out_zero};
    l.pairs = (uint32_t *)scratch + (p->dilation_h * ring.set * ring.cells * (int32_t)sizeof *plane + 15) / 16 * 4;
    for (int32_t first = 0; first < ew_min(p->dilation_w, p->out_w); first++) {
        int32_t x = first * p->stride_w;
        l.count = (p->out_w - first + p->dilation_w - 1) / p->dilation_w;
        l.window = plane + x % p->dilation_w * ring.cells + x / p->dilation_w * p->kernel_h;
        l.out = out + first * p->out_c;
        ew_lines(&l);
    }
    ew_limit(out, p->out_w * p->out_c, p->act_min, p->act_max);
}

void ew_depthwise(const ew_depthwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *image = in + n * p->in_h * p->in_w * p->in_c;
        for (int32_t y = 0, loaded = 0; y < p->out_h; y++, out += p->out_w * p->out_c) {
            int32_t wanted = ew_min(ew_ring_needed(p, y) - p->pad_top, p->in_h);
            for (; loaded < wanted; loaded++) ew_depthwise_load(p, scratch, loaded, image + loaded * p->in_w * p->in_c);
            ew_depthwise_row(p, scratch, y, out);
        }
    }
}

#endif
