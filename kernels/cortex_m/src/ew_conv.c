#include "ew_block.h"

#if !defined(EW_MVE)

static inline void copy_cell(int8_t *to, const int8_t *from, int32_t bytes) {
    for (; bytes >= 4; bytes -= 4, to += 4, from += 4) memcpy(to, from, 4);
    for (; bytes > 0; bytes--) *to++ = *from++;
}

static void put(const ew_conv_t *p, const ew_pixels_t *x) {
    int32_t cell = p->in_c / p->groups;
    const int8_t *pixel = x->from;
    for (int32_t g = 0; g < p->groups; g++) {
        const int8_t *from = pixel;
        int8_t *to = x->to + g * x->apart;
        for (int32_t n = x->count; n > 0; n--, to += x->to_step) {
            if (pixel) {
                copy_cell(to, from, cell);
                from += x->from_step;
            } else {
                memset(to, p->in_zero, (size_t)cell);
            }
        }
        if (pixel) pixel += cell;
    }
}

static const ew_ring_t ring = {put, ew_block, 0};

void ew_conv_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row) { ew_ring_load(p, &ring, scratch, y, row); }

void ew_conv_row(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out) { ew_ring_row(p, &ring, scratch, y, out); }

void ew_conv(const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch) { ew_ring_image(p, &ring, in, out, scratch); }

#endif
