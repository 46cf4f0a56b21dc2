/* Convolutions with weights known at compile time: int8 NHWC activations, one scale per tensor; int8 weights,
 * symmetric, one scale per output channel (TFLite 8-bit quantization specification).
 *
 *     acc(y, x, o)  = bias[o] + sum w[o, i, j, c] * in[y*stride_h - pad_top + i*dilation_h,
 *                                                    x*stride_w - pad_left + j*dilation_w, c]
 *     out(y, x, o)  = clamp(requantize(acc, multiplier[o], shift[o]) + out_zero, act_min, act_max)
 *
 * Elements outside of the image count as in_zero. The model's bias and -in_zero * sum(w[o]) are folded into
 * `bias` when the model is compiled; sums are modulo 2^32.
 *
 * A kernel works through rows: `load` takes one input row into a ring of padded rows in scratch, `row` computes one output
 * row from the ring. The whole-image functions are a loop over the two, load as late as possible, and never read an input
 * row again after it was loaded: the output may overwrite rows that are loaded (Call.overlap). Scratch is aligned to
 * 16 bytes, its size is given by targets/tflite_micro/ops, it holds nothing between calls of a whole-image function.
 *
 * `weights` are packed for one variant (targets/tflite_micro/ops). Portable takes them in the order (group, channel, kernel_w,
 * kernel_h, in_c / groups), DSP pairs of such channels (ew_block.h), depthwise in the order (channel, kernel_w, kernel_h).
 * DSP packs constants, too: bias and multiplier lie together in `bias`, `multiplier` is NULL, and `shift` holds steps (ew_dsp.h).
 */
#ifndef EW_CONV_H
#define EW_CONV_H

#include "ew_base.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias;       /* out_c */
    const int32_t *multiplier; /* out_c */
    const int8_t *shift;       /* out_c */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t kernel_h, kernel_w;
    int16_t stride_h, stride_w;
    int16_t dilation_h, dilation_w;
    int16_t pad_top, pad_left;
    int16_t groups;            /* in_c / groups input channels per output channel */
    int16_t batch;
    int8_t in_zero, out_zero;
    int8_t act_min, act_max;
    int8_t wide;               /* DSP: the weights ask for the wider products of ew_block.h */
} ew_conv_t;

/* CONV_2D. */
void ew_conv(const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch);
void ew_conv_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *row);
void ew_conv_row(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out);

/* DEPTHWISE_CONV_2D: output channel o reads input channel o / (out_c / in_c). groups is unused. */
typedef ew_conv_t ew_depthwise_t;
void ew_depthwise(const ew_depthwise_t *p, const int8_t *in, int8_t *out, void *scratch);
void ew_depthwise_load(const ew_depthwise_t *p, void *scratch, int32_t y, const int8_t *row);
void ew_depthwise_row(const ew_depthwise_t *p, void *scratch, int32_t y, int8_t *out);

/* CONV_2D with a 1x1 kernel, no padding, groups 1: needs no ring. Strides may be above 1. Reads `in` in place;
 * pixels are computed in order, each output pixel is written after its own and the next pixels of its block were read. */
typedef ew_conv_t ew_pointwise_t;
void ew_pointwise(const ew_pointwise_t *p, const int8_t *in, int8_t *out, void *scratch);

/* CONV_2D of images and with a kernel that are one pixel high, groups 1 and dilation 1 (portable and DSP): windows are runs of
 * `in` itself, and there is no ring. Windows are read in order; one is read before its outputs are written. */
typedef ew_conv_t ew_conv_line_t;
void ew_conv_line(const ew_conv_line_t *p, const int8_t *in, int8_t *out, void *scratch);

/* FULLY_CONNECTED: out(n, o) = clamp(round_once(bias[o] + sum w[o, i] * in[n, i]) + out_zero, act_min, act_max). Unlike the
 * convolutions it rounds once (ew_once.h). One multiplier and shift for all outputs when per_channel is 0; constants are the same
 * in all variants. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t in_c, out_c, batch;
    int8_t per_channel;
    int8_t out_zero, act_min, act_max;
    int8_t wide;               /* DSP, as above */
    int8_t fine;               /* multipliers have two words (ew_once.h) */
} ew_dense_t;
void ew_dense(const ew_dense_t *p, const int8_t *in, int8_t *out, void *scratch);

#endif
