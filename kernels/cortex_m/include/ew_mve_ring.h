/* The input rows that a convolution still needs, so laid out that every window is one run of bytes (ew_mve.h).
 *
 * Cells of `cell` bytes (the channels of one pixel that are summed over) lie in columns of kernel_h cells, one column
 * per padded pixel of a row. Row r of column x is cell x * kernel_h + r: the window at column x of the rows
 * r to r + kernel_h - 1 is kernel_w * kernel_h cells from cell x * kernel_h + r on, in the order (kernel_w, kernel_h, cell).
 * A row of cells takes the place of that of the row kernel_h above it, one column further right. So everything wanders towards higher
 * addresses, by a cell per row; every EW_MVE_RING_SPARE rows it is moved back.
 *
 * There is one such plane per group of channels (per channel in depthwise convolutions: its windows are runs, too), times
 * dilation_w, times dilation_h: columns and rows that are a multiple of the dilation apart share a plane.
 *
 * Scratch: ew_mve_ring_t, then the planes.
 */
#ifndef EW_MVE_RING_H
#define EW_MVE_RING_H

#include "ew_conv.h"
#include "ew_mve.h"

#if defined(EW_MVE)

#define EW_MVE_RING_SPARE 8

typedef struct {
    int32_t next;   /* row of the padded image that is to be stored next */
    int32_t origin; /* rows, per plane, that everything was moved back by */
    int32_t unused[2];
} ew_mve_ring_t;

/* Columns of the padded image that are read. */
EW_INLINE int32_t ew_mve_ring_columns(const ew_conv_t *p) {
    return (p->out_w - 1) * p->stride_w + (p->kernel_w - 1) * p->dilation_w + 1;
}

/* Rows per plane of the padded image that are read. */
EW_INLINE int32_t ew_mve_ring_rows(const ew_conv_t *p) {
    return ((p->out_h - 1) * p->stride_h) / p->dilation_h + p->kernel_h;
}

/* Bytes of a plane. */
EW_INLINE int32_t ew_mve_ring_plane(const ew_conv_t *p, int32_t cell) {
    int32_t columns = (ew_mve_ring_columns(p) + p->dilation_w - 1) / p->dilation_w;
    int32_t spare = ew_min(ew_mve_ring_rows(p) - p->kernel_h, EW_MVE_RING_SPARE);
    return (columns * p->kernel_h + spare) * cell;
}
