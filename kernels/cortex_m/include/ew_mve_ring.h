/* The input rows that a convolution still needs, laid out as ew_ring.h says, so that every window is one run of bytes
 * (ew_mve.h).
 *
 * Scratch: sums, a pixel of padding (in_c bytes, up to a multiple of 4), the planes.
 */
#ifndef EW_MVE_RING_H
#define EW_MVE_RING_H

#include "ew_conv.h"
#include "ew_mve.h"

#if defined(EW_MVE)

/* Rows by which everything wanders before it is moved back. */
#define EW_MVE_RING_SPARE 8

/* Stores the pixels of n columns, 0 or more, whose cells are `to_step` apart; the pixels are `from_step` apart. */
typedef struct ew_mve_ring ew_mve_ring_t;
typedef void ew_mve_store_t(
    const ew_mve_ring_t *ring, int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t n);
typedef void ew_mve_row_t(const ew_mve_ring_t *ring, const int8_t *windows, int8_t *out);

struct ew_mve_ring {
    const ew_conv_t *p;
    int32_t *sums;
    int8_t *padding, *planes;
    int32_t cell, column; /* bytes of a cell; from a column to the next */
    int32_t columns;      /* of the padded image that are read */
    int32_t plane;        /* bytes of a plane, */
    int32_t apart;        /* from a group's to the next group's, */
    int32_t set;          /* of those that belong to one row */
    int32_t parts;        /* of a pixel that are stored one after the other */
    ew_mve_store_t *store;
    ew_mve_row_t *row;    /* computes an output row; windows: the first one in the first plane */
};

/* A ring behind `count` sums; every pixel is divided into `groups` cells, which are stored in `parts` calls. */
ew_mve_ring_t ew_mve_ring(const ew_conv_t *p, int32_t *sums, int32_t count, int32_t groups, int32_t parts);

void ew_mve_ring_load(const ew_mve_ring_t *ring, int32_t y, const int8_t *row);
void ew_mve_ring_row(const ew_mve_ring_t *ring, int32_t y, int8_t *out);
void ew_mve_ring_image(const ew_mve_ring_t *ring, const int8_t *in, int8_t *out);

#endif
#endif
