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
 * Scratch: ew_mve_ring_t, a pixel of padding (in_c bytes, up to a multiple of 4), the planes.
 */
#ifndef EW_MVE_RING_H
#define EW_MVE_RING_H

#include "ew_conv.h"
#include "ew_mve.h"

#if defined(EW_MVE)

#define EW_MVE_RING_SPARE 8

typedef struct {
    int32_t next;   /* row of the padded image that is to be stored next */
    int32_t origin; /* rows, per plane, by which everything was moved back */
} ew_mve_ring_t;

/* How a kernel uses a ring. */
typedef struct {
    int32_t cell;   /* bytes */
    int32_t planes; /* times those for dilation */
    int32_t parts;  /* planes, or sets of planes, that are stored one after the other */
    /* Stores the pixels of n columns, `to_step` apart, 0 or more, in a plane or a set of planes. They are
     * `from_step` apart at `from`. `apart`: bytes between planes. */
    void (*store)(const ew_conv_t *p, int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t n, int32_t apart);
} ew_mve_ring_use_t;

/* Columns of the padded image that are read. */
EW_INLINE int32_t ew_mve_ring_columns(const ew_conv_t *p) {
    return (p->out_w - 1) * p->stride_w + (p->kernel_w - 1) * p->dilation_w + 1;
}

/* Bytes of a plane. */
EW_INLINE int32_t ew_mve_ring_plane(const ew_conv_t *p, int32_t cell) {
    int32_t columns = (ew_mve_ring_columns(p) + p->dilation_w - 1) / p->dilation_w;
    int32_t rows = (p->out_h - 1) * p->stride_h / p->dilation_h; /* by which things wander */
    return (columns * p->kernel_h + ew_min(rows, EW_MVE_RING_SPARE)) * cell;
}

/* Takes row y of the image; with row 0, a ring begins, and its top padding is stored first. */
void ew_mve_ring_load(const ew_conv_t *p, void *ring, int32_t y, const int8_t *row, const ew_mve_ring_use_t *use);

/* Where the window at column 0 of output row y begins, in the first plane. */
int8_t *ew_mve_ring_window(const ew_conv_t *p, void *ring, int32_t y, const ew_mve_ring_use_t *use);

/* A whole image: loads rows as late as possible. */
typedef void ew_mve_load_t(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row);
typedef void ew_mve_row_t(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out);
void ew_mve_ring_image(
    const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch, ew_mve_load_t *load, ew_mve_row_t *row);

#endif
#endif
