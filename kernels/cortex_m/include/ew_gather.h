/* Rows and columns chosen by a list that is known at compile time: RESIZE_NEAREST_NEIGHBOR, GATHER.
 *
 *     out[n, y, x, b] = in[n * batch_step + rows[y] * row_step + columns[x] * run + b],  0 <= b < run
 *
 * `out` is dense; elements are of any size and have no alignment. The output must not overlap with the input.
 */
#ifndef EW_GATHER_H
#define EW_GATHER_H

#include "ew_base.h"

typedef struct {
    const uint16_t *rows;    /* out_h */
    const uint16_t *columns; /* out_w */
    int32_t batch, out_h, out_w;
    int32_t batch_step, row_step, run; /* bytes */
} ew_gather_t;

void ew_gather(const ew_gather_t *p, const void *in, void *out);

#endif
