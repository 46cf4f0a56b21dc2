#include "ew_block.h"

#if !defined(EW_MVE)

/* `bytes` (4, 2 or 1) of each of `count` pixels. */
static void copy_part(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t count, int32_t bytes) {
    for (; bytes == 4 && count > 0; count--, to += to_step, from += from_step) memcpy(to, from, 4);
    for (; bytes == 2 && count > 0; count--, to += to_step, from += from_step) memcpy(to, from, 2);
    for (; count > 0; count--, to += to_step, from += from_step) *to = *from;
}

static void put(const ew_conv_t *p, const ew_pixels_t *x) {
    uint32_t fill = (uint8_t)p->in_zero * 0x01010101u;
    const int8_t *from = x->from ? x->from : (const int8_t *)&fill;
    int32_t cell = p->in_c / p->groups;
    for (int32_t g = 0; g < p->groups; g++) {
        int8_t *to = x->to + g * x->apart;
        for (int32_t left = cell, bytes; left > 0; left -= bytes, to += bytes) {
            bytes = left >= 4 ? 4 : left >= 2 ? 2 : 1;
            copy_part(to, x->to_step, from, x->from_step, x->count, bytes);
            if (x->from) from += bytes;
        }
    }
}

static const ew_ring_t ring = {put, ew_block, 0};

void ew_conv_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row) { ew_ring_load(p, &ring, scratch, y, row); }

void ew_conv_row(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out) { ew_ring_row(p, &ring, scratch, y, out); }

void ew_conv(const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch) { ew_ring_image(p, &ring, in, out, scratch); }

#endif
