/* AVERAGE_POOL_2D and MAX_POOL_2D of int8 NHWC images; input and output have the same scale and zero point.
 *
 *     window(y, x) = in[y*stride_h - pad_top + i, x*stride_w - pad_left + j], 0 <= i < window_h, 0 <= j < window_w,
 *                    without the elements that lie outside of the image; never empty
 *     out(y, x, c) = clamp(average or maximum of the window's channel c, act_min, act_max)
 *
 * An average is rounded to nearest, half away from zero. Output pixels are computed in order, and a pixel may lie on
 * the first element of its own window or in front of it (Call.overlap). No scratch. No alignment.
 *
 * Row by row: `load` takes one input row into a ring of min(window_h, in_h) rows in scratch, `row` computes one output row.
 */
#ifndef EW_POOL_H
#define EW_POOL_H

#include "ew_base.h"

typedef struct {
    int16_t in_h, in_w, channels;
    int16_t out_h, out_w;
    int16_t window_h, window_w;
    int16_t stride_h, stride_w;
    int16_t pad_top, pad_left;
    int16_t batch;
    int8_t act_min, act_max;
} ew_average_pool_t;

void ew_average_pool(const ew_average_pool_t *p, const int8_t *in, int8_t *out);
void ew_average_pool_load(const ew_average_pool_t *p, void *scratch, int32_t y, const int8_t *row);
void ew_average_pool_row(const ew_average_pool_t *p, void *scratch, int32_t y, int8_t *out);

typedef ew_average_pool_t ew_max_pool_t;

void ew_max_pool(const ew_max_pool_t *p, const int8_t *in, int8_t *out);
void ew_max_pool_load(const ew_max_pool_t *p, void *scratch, int32_t y, const int8_t *row);
void ew_max_pool_row(const ew_max_pool_t *p, void *scratch, int32_t y, int8_t *out);

#endif
