/* Rows of a convolution's input (ew_mve_ring.h). */
#include "ew_mve_ring.h"

#if defined(EW_MVE)

EW_INLINE ew_mve_ring_t *state_of(void *scratch, const ew_mve_ring_use_t *use) {
    return (ew_mve_ring_t *)(void *)((int8_t *)scratch + use->state);
}

/* Of a row of the padded image: where its column 0 is. */
static int8_t *place(const ew_conv_t *p, ew_mve_ring_t *ring, int32_t r, int32_t plane, const ew_mve_ring_use_t *use) {
    int8_t *planes = (int8_t *)(ring + 1) + r % p->dilation_h * use->groups * p->dilation_w * plane;
    return planes + (r / p->dilation_h - ring->origin) * use->cell;
}

/* Stores the next row. Outputs up to row - kernel_h, in rows of one plane, are done: what only they needed is given up. */
static void put(const ew_conv_t *p, ew_mve_ring_t *ring, const int8_t *row, const ew_mve_ring_use_t *use) {
    int32_t plane = ew_mve_ring_plane(p, use->cell), done = ring->next / p->dilation_h - p->kernel_h + 1;
    if (done - ring->origin > EW_MVE_RING_SPARE) {
        int8_t *planes = (int8_t *)(ring + 1);
        int32_t by = (done - ring->origin) * use->cell;
        ew_mve_copy(planes, planes + by, p->dilation_h * use->groups * p->dilation_w * plane - by);
        ring->origin = done;
    }
    use->put(p, place(p, ring, ring->next, plane, use), plane, use->cell, row);
    ring->next++;
}

void ew_mve_ring_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row, const ew_mve_ring_use_t *use) {
    ew_mve_ring_t *ring = state_of(scratch, use);
    if (y == 0) {
        ring->next = ring->origin = 0;
        while (ring->next < p->pad_top) put(p, ring, NULL, use);
    }
    put(p, ring, row, use);
}

int8_t *ew_mve_ring_window(const ew_conv_t *p, void *scratch, int32_t y, const ew_mve_ring_use_t *use) {
    ew_mve_ring_t *ring = state_of(scratch, use);
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
