#include "ew_ring.h"

#if !defined(EW_MVE)

/* Sizes, in bytes but for the first. */
typedef struct {
    int32_t columns; /* of the padded image that are read */
    int32_t cell;
    int32_t plane;
    int32_t apart; /* from one group to the next: dilation_w planes */
    int32_t set;   /* planes of all groups */
} sizes_t;

static sizes_t sizes_of(const ew_conv_t *p, const ew_ring_t *ring) {
    int32_t groups = ring->channel ? p->in_c : p->groups;
    int32_t spare = ew_min((p->out_h - 1) * p->stride_h / p->dilation_h, EW_RING_SPARE - 1);
    sizes_t s;
    s.columns = (p->out_w - 1) * p->stride_w + (p->kernel_w - 1) * p->dilation_w + 1;
    s.cell = ring->channel ? ring->channel : p->in_c / groups;
    s.plane = ((s.columns + p->dilation_w - 1) / p->dilation_w * p->kernel_h + spare) * s.cell;
    s.apart = p->dilation_w * s.plane;
    s.set = groups * s.apart;
    return s;
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
    x->from_step = row ? p->dilation_w * p->in_c : 0;
    ring->put(p, x);
    x->to += x->count * x->to_step;
    return column + x->count * p->dilation_w;
}

/* Padded row y, the next one; NULL for one above or below the image. */
static void store(const ew_conv_t *p, const ew_ring_t *ring, int8_t *planes, int32_t y, const int8_t *row) {
    sizes_t s = sizes_of(p, ring);
    int32_t at = y / p->dilation_h, moved = at - p->kernel_h + 1;
    planes += y % p->dilation_h * s.set;
    if (moved > 0) {
        int32_t back = EW_RING_SPARE * s.cell;
        at -= moved / EW_RING_SPARE * EW_RING_SPARE;
        if (moved % EW_RING_SPARE == 0) memmove(planes, planes + back, (size_t)(s.set - back));
    }
    ew_pixels_t x = {NULL, 0, NULL, p->kernel_h * s.cell, s.apart, 0};
    for (int32_t first = 0; first < p->dilation_w; first++) {
        x.to = planes + first * s.plane + at * s.cell;
        int32_t column = first - p->pad_left, end = s.columns - p->pad_left;
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
    int32_t below = p->pad_top + p->in_h, end = needed(p, y), top = y * p->stride_h;
    if (y > 0) below = ew_max(below, end - p->stride_h);
    for (; below < end; below++) store(p, ring, scratch, below, NULL);

    sizes_t s = sizes_of(p, ring);
    int8_t *planes = scratch, *behind = planes + (p->dilation_h * s.set + 15) / 16 * 16;
    ew_windows_t w = {NULL, s.apart, p->stride_w * p->kernel_h * s.cell, 0, out, p->dilation_w * p->out_c, behind};
    planes += top % p->dilation_h * s.set + top / p->dilation_h % EW_RING_SPARE * s.cell;
    for (int32_t first = 0; first < ew_min(p->dilation_w, p->out_w); first++, w.out += p->out_c) {
        int32_t x = first * p->stride_w;
        w.count = (p->out_w - first + p->dilation_w - 1) / p->dilation_w;
        w.window = planes + x % p->dilation_w * s.plane + x / p->dilation_w * p->kernel_h * s.cell;
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
