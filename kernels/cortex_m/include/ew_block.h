/* Many windows times the same weights: the inner part of CONV_2D (portable and DSP).
 *
 *     out[n * out_step + o] = clamp(requantize(bias[o] + sum weights[o, i] * in[n * step + i]) + out_zero)
 *
 * for n = 0 to count - 1, o = 0 to channels - 1, i = 0 to depth - 1. Windows are read in order. Where `overlap` is set, a window
 * is copied before its outputs are written, and may lie where they go.
 *
 * Constants: portable has arrays of `channels` values; DSP per channel the bias and the multiplier, one after the other, in
 * `bias`, and the step in `shift` (ew_dsp.h).
 *
 * Weights: portable takes the channels one after the other. DSP takes pairs of channels, 2 depth bytes each, and
 * at the end a last odd channel as it is. A pair (A, B) is [A B] of the first value when depth is odd, then [A0 B0 A2 B2 A1 B1
 * A3 B3] for every four values, and [A0 B0 A1 B1] for two that are left.
 *
 * The two bytes of a value are the 16 bits of 256 B + A, lower byte first. So a word w holds two such halves, and
 * sum(x w) - sum(x A) = 256 sum(x B): two channels take one sign extension. Where weights do not fit (B = -128 above a negative
 * A), or |sum(x B)| could reach 2^23, `wide` is set, the bytes are A and B as they are, and it takes two.
 *
 * Scratch, aligned to 4: portable EW_BLOCK * depth bytes with `overlap`, else none; DSP EW_BLOCK * 2 * (depth + 1) bytes
 * where count is EW_BLOCK or more, else depth bytes with `overlap`.
 */
#ifndef EW_BLOCK_H
#define EW_BLOCK_H

#include "ew_base.h"

#if defined(EW_DSP)
#define EW_BLOCK 4
#else
#define EW_BLOCK 2
#endif

typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t depth, channels;
    int32_t out_step; /* bytes from the outputs of a window to those of the next */
    int8_t wide, overlap;
    int8_t out_zero, act_min, act_max;
} ew_block_t;

/* On to the constants of the next group. */
EW_INLINE void ew_block_next(ew_block_t *b) {
    b->weights += b->depth * b->channels;
    b->shift += b->channels;
#if defined(EW_DSP)
    b->bias += 2 * b->channels;
#else
    b->bias += b->channels;
    b->multiplier += b->channels;
#endif
}

void ew_block(const ew_block_t *b, const int8_t *in, int32_t step, int32_t count, int8_t *out, void *scratch);

#endif
