/* Rows of a convolution's input (ew_mve_ring.h). */
#include "ew_mve_ring.h"

#if defined(EW_MVE)

EW_INLINE int8_t *padding(ew_mve_ring_t *ring) { return (int8_t *)(ring + 1); }
EW_INLINE int8_t *planes(const ew_conv_t *p, ew_mve_ring_t *ring) { return padding(ring) + ((p->in_c + 3) & ~3); }

/* Of a row of the padded image: where its column 0 is. */
static int8_t *place(const ew_conv_t *p, ew_mve_ring_t *ring, int32_t r, int32_t plane, const ew_mve_ring_use_t *use) {
    int32_t first = r % p->dilation_h * use->planes * p->dilation_w * plane;
    return planes(p, ring) + first + (r / p->dilation_h - ring->origin) * use->cell;
}

/* How many of the columns part, part + across, ... are left of column x. */
EW_INLINE int32_t left_of(int32_t x, int32_t part, int32_t across) {
    return ew_max(x - part + across - 1, 0) / across;
}

/* Stores the next row, padding where it is NULL. */
static void store(const ew_conv_t *p, ew_mve_ring_t *ring, const int8_t *row, int32_t plane, const ew_mve_ring_use_t *use) {
    int32_t across = p->dilation_w, step = p->kernel_h * use->cell;
    int8_t *to = place(p, ring, ring->next++, plane, use);
    for (int32_t part = 0; part < use->parts; part++, to += plane) {
        int32_t x = part % across, end = left_of(ew_mve_ring_columns(p), x, across), first = end, last = end;
        if (row != NULL) {
            first = ew_min(left_of(p->pad_left, x, across), end);
            last = ew_min(left_of(p->pad_left + p->in_w, x, across), end);
        }
        const int8_t *from = row + (x + first * across - p->pad_left) * p->in_c + part / across * use->cell;
        use->store(p, to, step, padding(ring), 0, first, across * plane);
        use->store(p, to + first * step, step, from, across * p->in_c, last - first, across * plane);
        use->store(p, to + last * step, step, padding(ring), 0, end - last, across * plane);
    }
}

/* Before a row is stored: outputs up to row - kernel_h, in rows of one plane, are done; what only they needed is given up. */
static void put(const ew_conv_t *p, ew_mve_ring_t *ring, const int8_t *row, const ew_mve_ring_use_t *use) {
    int32_t plane = ew_mve_ring_plane(p, use->cell), done = ring->next / p->dilation_h - p->kernel_h + 1;
    if (done - ring->origin > EW_MVE_RING_SPARE) {
        int32_t by = (done - ring->origin) * use->cell;
        int8_t *first = planes(p, ring);
        ew_mve_copy(first, first + by, p->dilation_h * use->planes * p->dilation_w * plane - by);
        ring->origin = done;
    }
    store(p, ring, row, plane, use);
}

void ew_mve_ring_load(const ew_conv_t *p, void *at, int32_t y, const int8_t *row, const ew_mve_ring_use_t *use) {
    ew_mve_ring_t *ring = at;
    if (y == 0) {
        ring->next = ring->origin = 0;
        ew_mve_fill(padding(ring), p->in_zero, p->in_c);
        while (ring->next < p->pad_top) put(p, ring, NULL, use);
    }
    put(p, ring, row, use);
}

int8_t *ew_mve_ring_window(const ew_conv_t *p, void *at, int32_t y, const ew_mve_ring_use_t *use) {
    ew_mve_ring_t *ring = at;
    int32_t top = y * p->stride_h, bottom = top + (p->kernel_h - 1) * p->dilation_h;
    while (ring->next <= bottom) put(p, ring, NULL, use);
    return place(p, ring, top, ew_mve_ring_plane(p, use->cell), use);
}

void ew_mve_ring_image(
    const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch, ew_mve_load_t *load, ew_mve_row_t *row) {
    int32_t reach = (p->kernel_h - 1) * p->dilation_h + 1 - p->pad_top;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * p->in_w * p->in_c) {
        int32_t loaded = 0;
        for (int32_t y = 0; y < p->out_h; y++, out += p->out_w * p->out_c) {
            for (int32_t end = ew_min(p->in_h, y * p->stride_h + reach); loaded < end; loaded++)
                load(p, scratch, loaded, in + loaded * p->in_w * p->in_c);
            row(p, scratch, y, out);
        }
    }
}

#endif
