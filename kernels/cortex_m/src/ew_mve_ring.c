/* Rows of a convolution's input (ew_mve_ring.h). */
#include "ew_mve_ring.h"

#if defined(EW_MVE)

ew_mve_ring_t ew_mve_ring(const ew_conv_t *p, int32_t *sums, int32_t count, int32_t groups, int32_t parts) {
    int32_t columns = (p->out_w - 1) * p->stride_w + (p->kernel_w - 1) * p->dilation_w + 1;
    int32_t cell = p->in_c / groups, wanders = (p->out_h - 1) * p->stride_h / p->dilation_h;
    int32_t spare = ew_min(wanders, EW_MVE_RING_SPARE - 1);
    int32_t plane = ((columns + p->dilation_w - 1) / p->dilation_w * p->kernel_h + spare) * cell;
    int8_t *padding = (int8_t *)(sums + count);
    return (ew_mve_ring_t){
        .p = p, .sums = sums, .padding = padding, .planes = padding + ((p->in_c + 3) & ~3), .cell = cell,
        .column = cell * p->kernel_h, .columns = columns, .plane = plane, .apart = plane * p->dilation_w,
        .set = plane * p->dilation_w * groups, .parts = parts * p->dilation_w,
    };
}

/* Rows of the padded image that output row y and the ones before it need. */
EW_INLINE int32_t needed(const ew_conv_t *p, int32_t y) {
    return y * p->stride_h + (p->kernel_h - 1) * p->dilation_h + 1;
}

/* How many of the columns part, part + across, ... are left of column x. */
EW_INLINE int32_t left_of(int32_t x, int32_t part, int32_t across) { return ew_max(x - part + across - 1, 0) / across; }

/* Stores one part of a row of the padded image; padding where `row` is NULL. */
static void store(const ew_mve_ring_t *ring, int8_t *to, const int8_t *row, int32_t part) {
    const ew_conv_t *p = ring->p;
    int32_t across = p->dilation_w, x = part % across, end = left_of(ring->columns, x, across), first = end, last = end;
    if (row != NULL) {
        first = ew_min(left_of(p->pad_left, x, across), end);
        last = ew_min(left_of(p->pad_left + p->in_w, x, across), end);
        row += (x + first * across - p->pad_left) * p->in_c + part / across * ring->cell;
    }
    ring->store(ring, to, ring->column, ring->padding, 0, first);
    ring->store(ring, to + first * ring->column, ring->column, row, across * p->in_c, last - first);
    ring->store(ring, to + last * ring->column, ring->column, ring->padding, 0, end - last);
}

/* Stores row y of the padded image, after those before it. */
static void put(const ew_mve_ring_t *ring, int32_t y, const int8_t *row) {
    const ew_conv_t *p = ring->p;
    int32_t r = y / p->dilation_h, oldest = ew_max(r - p->kernel_h + 1, 0), wandered = oldest % EW_MVE_RING_SPARE;
    int8_t *to = ring->planes + y % p->dilation_h * ring->set;
    if (oldest > 0 && wandered == 0) {
        int32_t by = EW_MVE_RING_SPARE * ring->cell;
        ew_mve_copy(to, to + by, ring->set - by);
    }
    to += (r - oldest + wandered) * ring->cell;
    for (int32_t part = 0; part < ring->parts; part++, to += ring->plane) store(ring, to, row, part);
}

void ew_mve_ring_load(const ew_mve_ring_t *ring, int32_t y, const int8_t *row) {
    const ew_conv_t *p = ring->p;
    if (y == 0) {
        ew_mve_fill(ring->padding, p->in_zero, p->in_c);
        for (int32_t above = 0; above < p->pad_top; above++) put(ring, above, NULL);
    }
    put(ring, p->pad_top + y, row);
}

void ew_mve_ring_row(const ew_mve_ring_t *ring, int32_t y, int8_t *out) {
    const ew_conv_t *p = ring->p;
    int32_t top = y * p->stride_h, below = p->pad_top + p->in_h;
    if (y > 0) below = ew_max(below, needed(p, y - 1));
    for (; below < needed(p, y); below++) put(ring, below, NULL);
    int32_t first = top % p->dilation_h * ring->set + top / p->dilation_h % EW_MVE_RING_SPARE * ring->cell;
    ring->row(ring, ring->planes + first, out);
}

void ew_mve_ring_image(const ew_mve_ring_t *ring, const int8_t *in, int8_t *out) {
    const ew_conv_t *p = ring->p;
    int32_t in_row = p->in_w * p->in_c, out_row = p->out_w * p->out_c;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * in_row) {
        for (int32_t y = 0, loaded = 0; y < p->out_h; y++, out += out_row) {
            for (int32_t end = ew_min(needed(p, y) - p->pad_top, p->in_h); loaded < end; loaded++)
                ew_mve_ring_load(ring, loaded, in + loaded * in_row);
            ew_mve_ring_row(ring, y, out);
        }
    }
}

#endif
