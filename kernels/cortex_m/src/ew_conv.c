#include "ew_block.h"
#include "ew_ring.h"

#if !defined(EW_MVE)

static void put(const ew_conv_t *p, const ew_pixels_t *x) {
    int32_t cell = p->in_c / p->groups;
    const int8_t *pixel = x->from;
    int8_t *pixel_to = x->to;
    for (int32_t n = x->count; n > 0; n--, pixel_to += x->to_step) {
        const int8_t *from = pixel;
        int8_t *to = pixel_to;
        for (int32_t g = 0; g < p->groups; g++, to += x->apart) {
            int32_t i = 0;
            if (!from) {
                memset(to, p->in_zero, (size_t)cell);
                continue;
            }
            for (; i + 4 <= cell; i += 4, from += 4) memcpy(to + i, from, 4);
            for (; i < cell; i++) to[i] = *from++;
        }
        if (pixel) pixel += x->from_step;
    }
}

static void compute(const ew_conv_t *p, const ew_windows_t *w) {
    ew_block_t b = {p->weights, p->bias, p->multiplier, p->shift, p->in_c / p->groups * p->kernel_h * p->kernel_w,
                    p->out_c / p->groups, w->out_step, p->wide, 0, p->out_zero, p->act_min, p->act_max};
    for (int32_t g = 0; g < p->groups; g++) {
        ew_block(&b, w->window + g * w->apart, w->step, w->count, w->out + g * b.channels, w->scratch);
        ew_block_next(&b);
    }
}

#define RING {p->groups, p->in_c / p->groups, put, compute}

void ew_conv_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row) {
    ew_ring_t ring = RING;
    ew_ring_load(p, &ring, scratch, y, row);
}

void ew_conv_row(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out) {
    ew_ring_t ring = RING;
    ew_ring_row(p, &ring, scratch, y, out);
}

void ew_conv(const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_ring_t ring = RING;
    ew_ring_image(p, &ring, in, out, scratch);
}

#endif
