/* The padded input rows that a convolution still needs, laid out so that every window is one run of cells (portable and
 * DSP).
 *
 * A cell holds the channels of one pixel that are summed over: in_c / groups for CONV_2D, one for DEPTHWISE_CONV_2D. Row r
 * of column x is cell x * kernel_h + r of a plane; so the window at column x of rows r to r + kernel_h - 1 is
 * kernel_w * kernel_h cells from cell x * kernel_h + r on, in the order (kernel_w, kernel_h, cell). A new row lies
 * where the row kernel_h above it was, one column further right; that one is dropped. Everything moves up by a cell per row,
 * and back by EW_RING_SPARE cells every EW_RING_SPARE rows.
 *
 * Planes: dilation_h sets of dilation_w planes for each of the groups (depthwise: in_c); columns and rows whose distance is a
 * multiple of the dilation share one. Rows are counted from the top of the padding, and stored in order.
 *
 * Scratch: the planes, up to a multiple of 16 bytes, then what `compute` wants.
 */
#ifndef EW_RING_H
#define EW_RING_H

#include "ew_conv.h"

#define EW_RING_SPARE 8

/* Pixels of a row, and where they go: for each group a cell. */
typedef struct {
    const int8_t *from; /* NULL for pixels of the padding */
    int32_t from_step;
    int8_t *to;
    int32_t to_step;
    int32_t apart; /* bytes from one group to the next */
    int32_t count;
} ew_pixels_t;

/* Windows of one output row, dilation_w pixels from one to the next. */
typedef struct {
    const int8_t *window; /* the first one, in the plane of the first group */
    int32_t apart;        /* bytes from there to the next group */
    int32_t step;         /* bytes from one window to the next */
    int32_t count;
    int8_t *out; /* of the first window */
    int32_t out_step;
    void *scratch;
} ew_windows_t;

/* What is particular to a kind of convolution. */
typedef struct {
    void (*put)(const ew_conv_t *p, const ew_pixels_t *x);
    void (*compute)(const ew_conv_t *p, const ew_windows_t *w);
    int32_t channel; /* bytes of a cell, where every channel is a group of its own; else 0 */
} ew_ring_t;

/* `load`, `row` and the whole of ew_conv.h. */
void ew_ring_load(const ew_conv_t *p, const ew_ring_t *ring, void *scratch, int32_t y, const int8_t *row);
void ew_ring_row(const ew_conv_t *p, const ew_ring_t *ring, void *scratch, int32_t y, int8_t *out);
void ew_ring_image(const ew_conv_t *p, const ew_ring_t *ring, const int8_t *in, int8_t *out, void *scratch);

#endif
