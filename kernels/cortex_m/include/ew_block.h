/* Many windows times the same weights: the inner part of CONV_2D (portable and DSP).
 *
 *     out[n * out_step + o] = clamp(requantize(bias[o] + sum weights[o, i] * window[n * step + i]) + out_zero)
 *
 * for n = 0 to count - 1, o = 0 to channels - 1, i = 0 to depth - 1, in every group (members of ew_windows_t); channels is
 * out_c / groups, and depth is in_c / groups * kernel_h * kernel_w. Windows are read in order, and copied before their
 * outputs are written: they may lie where the outputs go.
 *
 * Weights: portable takes the channels one after the other. DSP takes, for each group, pairs of channels, 2 depth bytes each, and
 * at the end a last odd channel as it is. A pair (A, B) is [A B] of the first value when depth is odd, then [A0 B0 A2 B2 A1 B1
 * A3 B3] for every four values, and [A0 B0 A1 B1] for two that are left.
 *
 * The two bytes of a value are the 16 bits of 256 B + A, lower byte first. So a word w holds two such halves, and
 * sum(x w) - sum(x A) = 256 sum(x B): two channels take one sign extension. Where weights do not fit (B = -128 above a negative
 * A), or |sum(x B)| could reach 2^23, `wide` is set, the bytes are A and B as they are, and it takes two.
 *
 * Scratch, aligned to 4: portable 2 depth bytes; DSP 8 (depth + 1) bytes where count is EW_BLOCK or more, else depth bytes.
 */
#ifndef EW_BLOCK_H
#define EW_BLOCK_H

#include "ew_ring.h"

#if defined(EW_DSP)
#define EW_BLOCK 4
#else
#define EW_BLOCK 2
#endif

/* `compute` of ew_ring.h. */
void ew_block(const ew_conv_t *p, const ew_windows_t *w);

#endif
