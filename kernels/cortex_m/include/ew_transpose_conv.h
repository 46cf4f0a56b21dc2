/* TRANSPOSE_CONV with weights known at compile time: int8 NHWC activations with one scale per tensor; int8 weights,
 * symmetric, one scale per output channel or one for all.
 *
 *     acc(y, x, o) = bias[o] + sum w[o, i, j, c] * (in[r, q, c] - in_zero)
 *                    over i, j, c and those r, q in the image
 *                    with r*stride_h + i = y + pad_top and q*stride_w + j = x + pad_left
 *     out(y, x, o) = clamp(requantize(acc, multiplier[o], shift[o]) + out_zero, act_min, act_max)
 *
 * Each output pixel gathers. Pixels with the same phase, (y + pad_top) mod stride_h and (x + pad_left) mod stride_w,
 * meet the same weights: a phase is a convolution with a part of the kernel. Along an axis with k weights and stride s,
 * ceil((k - p) / s) of them meet a pixel of phase p; none when p >= k.
 *
 * weights: for each phase of y, then of x: [o][tap of y][tap of x, from the lowest input column up][c]; tap n of y is
 * row phase + n * stride_h of the kernel. The last two axes together are padded with zeros to a multiple of
 * EW_TRANSPOSE_CONV_RUN bytes; DSP: values 1 and 2 of each 4 change places. `start` has the offset of each phase
 * (stride_h * stride_w entries).
 *
 * Scratch: 2 * (ring_h * row + EW_TRANSPOSE_CONV_RUN) bytes, aligned to 4: a ring of ring_h = ceil(kernel_h / stride_h)
 * input rows less in_zero, each with ring_left pixels of zeros before it and enough after it; row is the length of one
 * in values. Nothing is kept there between calls.
 *
 * Rows of the output are written in order, and an input row is read once, right before the first output row that needs
 * it: the output may overwrite rows that were read. No alignment is asked of `in` and `out`.
 */
#ifndef EW_TRANSPOSE_CONV_H
#define EW_TRANSPOSE_CONV_H

#include "ew_base.h"

#if defined(EW_DSP)
#define EW_TRANSPOSE_CONV_RUN 4
#else
#define EW_TRANSPOSE_CONV_RUN 1
#endif

typedef struct {
    const int8_t *weights;
    const int32_t *start;
    const int32_t *bias;       /* out_c, or NULL */
    const int32_t *multiplier; /* out_c */
    const int8_t *shift;       /* out_c */
    int32_t row;               /* values in one row of the ring */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t kernel_h, kernel_w;
    int16_t stride_h, stride_w;
    int16_t pad_top, pad_left;
    int16_t ring_h, ring_left;
    int16_t batch;
    int8_t in_zero, out_zero;
    int8_t act_min, act_max;
} ew_transpose_conv_t;

void ew_transpose_conv(const ew_transpose_conv_t *p, const int8_t *in, int8_t *out, void *scratch);

#endif
