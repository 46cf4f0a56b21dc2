/* Four dot products of int8 vectors with one int8 vector, for layers that meet each weight once per inference.
 *
 *     acc[k] += sum w[k, i] * x[i]        k = 0 to 3, i = 0 to n - 1; sums modulo 2^32
 *
 * Weights: portable and MVE take the four rows one after the other, n values each; DSP takes n a multiple of 4, the
 * rows interleaved in groups of 4 values (pad rows with zeros; x may hold anything there, but must be readable).
 * No alignment is asked. Returns what follows these weights.
 */
#ifndef EW_DOT4_H
#define EW_DOT4_H

#include "ew_base.h"

#if defined(EW_DSP)
#define EW_DOT4_GROUP 4
#else
#define EW_DOT4_GROUP 1
#endif

const int8_t *ew_dot4(const int8_t *w, const int8_t *x, int32_t n, int32_t *acc);

#endif
