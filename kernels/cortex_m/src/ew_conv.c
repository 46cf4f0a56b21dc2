#include "ew_block.h"
#include "ew_ring.h"

#if !defined(EW_MVE)

/* `bytes` of a cell: a few words, most of the time. */
static inline void copy_cell(int8_t *to, const int8_t *from, int32_t bytes) {
    for (; bytes >= 4; bytes -= 4, to += 4, from += 4) memcpy(to, from, 4);
    if (bytes & 2) memcpy(to, from, 2), to += 2, from += 2;
    if (bytes & 1) *to = *from;
}

/* Padded row y; NULL for one above or below the image. */
static void store(const ew_conv_t *p, int8_t *planes, int32_t y, const int8_t *row) {
    ew_ring_t ring = ew_ring(p, p->groups);
    int32_t cell = p->in_c / p->groups, apart = p->kernel_h * cell;
    int8_t *plane = ew_ring_next(p, &ring, planes, y, cell);
    for (int32_t g = 0; g < p->groups; g++) {
        for (int32_t first = 0; first < p->dilation_w; first++, plane += ring.cells * cell) {
            int8_t *to = plane;
            for (int32_t x = first - p->pad_left; x < ring.columns - p->pad_left; x += p->dilation_w, to += apart) {
                if (row && x >= 0 && x < p->in_w) {
                    copy_cell(to, row + x * p->in_c + g * cell, cell);
                } else {
                    memset(to, p->in_zero, (size_t)cell);
                }
            }
        }
    }
}

void ew_conv_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row) {
    for (int32_t i = 0; i < p->pad_top && y == 0; i++) store(p, scratch, i, NULL);
    if (p->pad_top + y < ew_ring_needed(p, p->out_h - 1)) store(p, scratch, p->pad_top + y, row);
}

static ew_block_t block_of(const ew_conv_t *p) {
    ew_block_t b = {p->weights, p->bias, p->multiplier, p->shift, 0, 0, 0, p->wide, 0, p->out_zero, p->act_min, p->act_max};
    b.depth = p->in_c / p->groups * p->kernel_h * p->kernel_w;
    b.channels = p->out_c / p->groups;
    b.out_step = p->dilation_w * p->out_c;
    return b;
}

/* On to the constants of the next group. */
static void advance(ew_block_t *b) {
    b->weights += b->depth * b->channels;
#if defined(EW_DSP)
    b->bias += 2 * b->channels;
#else
    b->bias += b->channels;
    b->multiplier += b->channels;
#endif
    b->shift += b->channels;
}

void ew_conv_row(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out) {
    int32_t below = p->pad_top + p->in_h, needed = ew_ring_needed(p, y);
    if (y > 0) below = ew_max(below, needed - p->stride_h);
    for (; below < needed; below++) store(p, scratch, below, NULL);

    ew_ring_t ring = ew_ring(p, p->groups);
    int32_t cell = p->in_c / p->groups, column = p->kernel_h * cell;
    const int8_t *plane = ew_ring_window(p, &ring, scratch, y, cell);
    int8_t *products = (int8_t *)scratch + (p->dilation_h * ring.set * ring.cells * cell + 15) / 16 * 16;
    ew_block_t b = block_of(p);
    for (int32_t g = 0; g < p->groups; g++, plane += p->dilation_w * ring.cells * cell, out += b.channels, advance(&b)) {
        for (int32_t first = 0; first < ew_min(p->dilation_w, p->out_w); first++) {
            int32_t x = first * p->stride_w, count = (p->out_w - first + p->dilation_w - 1) / p->dilation_w;
            const int8_t *window = plane + x % p->dilation_w * ring.cells * cell + x / p->dilation_w * column;
            ew_block(&b, window, p->stride_w * column, count, out + first * p->out_c, products);
        }
    }
}

void ew_conv(const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch) {
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *image = in + n * p->in_h * p->in_w * p->in_c;
        for (int32_t y = 0, loaded = 0; y < p->out_h; y++, out += p->out_w * p->out_c) {
            int32_t wanted = ew_min(ew_ring_needed(p, y) - p->pad_top, p->in_h);
            for (; loaded < wanted; loaded++) ew_conv_load(p, scratch, loaded, image + loaded * p->in_w * p->in_c);
            ew_conv_row(p, scratch, y, out);
        }
    }
}

#endif
