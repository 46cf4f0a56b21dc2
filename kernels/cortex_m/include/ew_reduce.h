/* Reductions of int8 tensors over any axes. For every index of the kept axes, in order, the elements of the folded axes
 * are reduced and one element is written.
 *
 * Axes are counts and steps in bytes, outermost first; unused ones have count 1. An element is written after all of its
 * own were read and before any of the next: in place is safe. No alignment.
 */
#ifndef EW_REDUCE_H
#define EW_REDUCE_H

#include "ew_base.h"

#define EW_REDUCE_AXES 3

typedef struct {
    int32_t keep[EW_REDUCE_AXES], keep_step[EW_REDUCE_AXES];
    int32_t fold[EW_REDUCE_AXES], fold_step[EW_REDUCE_AXES];
    int32_t offset, multiplier;
    int8_t shift, out_zero;
    int8_t flip;
} ew_reduce_sum_t;

/* MEAN, SUM: clamp(requantize(offset + sum) + out_zero); see ew_mean. */
void ew_reduce_sum(const ew_reduce_sum_t *p, const int8_t *in, int8_t *out);

/* REDUCE_MAX where flip is 0, REDUCE_MIN where it is -1 (~x turns the order round). The other numbers are unused. */
typedef ew_reduce_sum_t ew_reduce_max_t;
void ew_reduce_max(const ew_reduce_max_t *p, const int8_t *in, int8_t *out);

#endif
