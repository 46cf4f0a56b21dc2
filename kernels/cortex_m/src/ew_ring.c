#include "ew_ring.h"

#if !defined(EW_MVE)

/* Columns of the padded image that are read. */
static int32_t columns_of(const ew_conv_t *p) {
    return (p->out_w - 1) * p->stride_w + (p->kernel_w - 1) * p->dilation_w + 1;
}

/* Bytes of a plane. */
static int32_t plane_of(const ew_conv_t *p, const ew_ring_t *ring) {
    int32_t spare = ew_min((p->out_h - 1) * p->stride_h / p->dilation_h, EW_RING_SPARE - 1);
    return ((columns_of(p) + p->dilation_w - 1) / p->dilation_w * p->kernel_h + spare) * ring->cell;
}

/* Padded rows that are stored before output row y is computed. */
static int32_t needed(const ew_conv_t *p, int32_t y) {
    return y * p->stride_h + (p->kernel_h - 1) * p->dilation_h + 1;
}

/* Pixels from a column to the last one before `end`; returns the column behind them. */
static int32_t run(const ew_conv_t *p, const ew_ring_t *ring, ew_pixels_t *x, int32_t column, int32_t end, const int8_t *row) {
    x->count = (end - column + p->dilation_w - 1) / p->dilation_w;
    if (x->count <= 0) return column;
    x->from = row ? row + column * p->in_c : NULL;
    ring->put(p, x);
    x->to += x->count * x->to_step;
    return column + x->count * p->dilation_w;
}

/* Padded row y, the next one; NULL for one above or below the image. */
static void store(const ew_conv_t *p, const ew_ring_t *ring, int8_t *planes, int32_t y, const int8_t *row) {
    int32_t plane = plane_of(p, ring), set = ring->groups * p->dilation_w * plane, cell = ring->cell;
    int32_t at = y / p->dilation_h, moved = at - p->kernel_h + 1;
    planes += y % p->dilation_h * set;
    if (moved > 0) {
        at -= moved / EW_RING_SPARE * EW_RING_SPARE;
        if (moved % EW_RING_SPARE == 0) memmove(planes, planes + EW_RING_SPARE * cell, (size_t)(set - EW_RING_SPARE * cell));
    }
    ew_pixels_t x = {NULL, p->dilation_w * p->in_c, NULL, p->kernel_h * cell, p->dilation_w * plane, 0};
    for (int32_t first = 0; first < p->dilation_w; first++) {
        x.to = planes + first * plane + at * cell;
        int32_t column = first - p->pad_left, end = columns_of(p) - p->pad_left;
        column = run(p, ring, &x, column, ew_min(end, 0), NULL);
        column = run(p, ring, &x, column, ew_min(end, p->in_w), row);
        run(p, ring, &x, column, end, NULL);
    }
}

void ew_ring_load(const ew_conv_t *p, const ew_ring_t *ring, void *scratch, int32_t y, const int8_t *row) {
    for (int32_t i = 0; i < p->pad_top && y == 0; i++) store(p, ring, scratch, i, NULL);
    if (p->pad_top + y < needed(p, p->out_h - 1)) store(p, ring, scratch, p->pad_top + y, row);
}

void ew_ring_row(const ew_conv_t *p, const ew_ring_t *ring, void *scratch, int32_t y, int8_t *out) {
    int32_t below = p->pad_top + p->in_h, end = needed(p, y);
    if (y > 0) below = ew_max(below, end - p->stride_h);
    for (; below < end; below++) store(p, ring, scratch, below, NULL);

    int32_t plane = plane_of(p, ring), set = ring->groups * p->dilation_w * plane, top = y * p->stride_h;
    const int8_t *planes = (int8_t *)scratch + top % p->dilation_h * set + top / p->dilation_h % EW_RING_SPARE * ring->cell;
    ew_windows_t w = {NULL, p->dilation_w * plane, p->stride_w * p->kernel_h * ring->cell, 0, out,
                      p->dilation_w * p->out_c, (int8_t *)scratch + (p->dilation_h * set + 15) / 16 * 16};
    for (int32_t first = 0; first < ew_min(p->dilation_w, p->out_w); first++, w.out += p->out_c) {
        int32_t x = first * p->stride_w;
        w.count = (p->out_w - first + p->dilation_w - 1) / p->dilation_w;
        w.window = planes + x % p->dilation_w * plane + x / p->dilation_w * p->kernel_h * ring->cell;
        ring->compute(p, &w);
    }
}

void ew_ring_image(const ew_conv_t *p, const ew_ring_t *ring, const int8_t *in, int8_t *out, void *scratch) {
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * p->in_w * p->in_c) {
        for (int32_t y = 0, loaded = 0; y < p->out_h; y++, out += p->out_w * p->out_c) {
            for (; loaded < ew_min(needed(p, y) - p->pad_top, p->in_h); loaded++) {
                ew_ring_load(p, ring, scratch, loaded, in + loaded * p->in_w * p->in_c);
            }
            ew_ring_row(p, ring, scratch, y, out);
        }
    }
}

#endif
