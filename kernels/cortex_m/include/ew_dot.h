/* Products of one window with the weights of ew_block.h (DSP).
 *
 * Computes sums of the first 4, 2 or 1 of `channels` channels and returns how many; sums modulo 2^32. There is room for 4 sums.
 */
#ifndef EW_DOT_H
#define EW_DOT_H

#include "ew_base.h"

int32_t ew_dot(const int8_t *x, const int8_t *weights, int32_t depth, int32_t channels, int32_t wide, int32_t *sums);

#endif
