/* The padded input rows that a convolution still needs, laid out so that every window is one run of cells (portable and
 * DSP).
 *
 * A cell holds the channels of one pixel that are summed over: in_c / groups for CONV_2D, one for DEPTHWISE_CONV_2D. Row r
 * of column x is cell x * kernel_h + r of a plane; so the window at column x of rows r to r + kernel_h - 1 is
 * kernel_w * kernel_h cells from cell x * kernel_h + r on, in the order (kernel_w, kernel_h, cell). A new row lies
 * where the row kernel_h above it was, one column further right; that one is dropped. Everything moves up by a cell per row,
 * and back by EW_RING_SPARE cells every EW_RING_SPARE rows.
 *
 * Planes: dilation_h times groups (depthwise: in_c) times dilation_w of them; columns and rows whose distance is a
 * multiple of the dilation share one. Rows are counted from the top of the padding, and stored in order.
 */
#ifndef EW_RING_H
#define EW_RING_H

#include "ew_conv.h"

#define EW_RING_SPARE 8

typedef struct {
    int32_t columns; /* of the padded image that are read */
    int32_t cells;   /* per plane */
    int32_t set;     /* planes of one of the dilation_h sets */
} ew_ring_t;

EW_INLINE ew_ring_t ew_ring(const ew_conv_t *p, int32_t groups) {
    ew_ring_t ring;
    ring.columns = (p->out_w - 1) * p->stride_w + (p->kernel_w - 1) * p->dilation_w + 1;
    int32_t spare = ew_min((p->out_h - 1) * p->stride_h / p->dilation_h, EW_RING_SPARE - 1);
    ring.cells = (ring.columns + p->dilation_w - 1) / p->dilation_w * p->kernel_h + spare;
    ring.set = groups * p->dilation_w;
    return ring;
}

/* The cell of column 0, in plane 0 of its set, for padded row y, which is the next to be stored; `cell` in bytes. Makes
 * room for it. */
EW_INLINE int8_t *ew_ring_next(const ew_conv_t *p, const ew_ring_t *ring, int8_t *planes, int32_t y, int32_t cell) {
    int32_t bytes = ring->set * ring->cells * cell, row = y / p->dilation_h;
    int32_t moved = ew_max(row - p->kernel_h + 1, 0);
    planes += y % p->dilation_h * bytes;
    if (moved > 0 && moved % EW_RING_SPARE == 0) {
        memmove(planes, planes + EW_RING_SPARE * cell, (size_t)(bytes - EW_RING_SPARE * cell));
    }
    return planes + (row - moved / EW_RING_SPARE * EW_RING_SPARE) * cell;
}

/* Where the windows of output row y begin in plane 0 of their set: column 0. */
EW_INLINE const int8_t *ew_ring_window(const ew_conv_t *p, const ew_ring_t *ring, const int8_t *planes, int32_t y,
                                       int32_t cell) {
    int32_t top = y * p->stride_h;
    return planes + top % p->dilation_h * ring->set * ring->cells * cell + top / p->dilation_h % EW_RING_SPARE * cell;
}

/* Padded rows that are stored before output row y is computed. */
EW_INLINE int32_t ew_ring_needed(const ew_conv_t *p, int32_t y) {
    return y * p->stride_h + (p->kernel_h - 1) * p->dilation_h + 1;
}

#endif
