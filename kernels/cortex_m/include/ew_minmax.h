/* MINIMUM, MAXIMUM and limits of int8 tensors whose operands and output have one scale and zero point.
 *
 *     ew_minimum: out = min(a, b)        ew_maximum: out = max(a, b)        ew_clamp8: out = clamp(in, low, high)
 *
 * Operands and output are of one shape, `count` elements, with shape NULL; the _broadcast functions take operands of
 * two shapes (ew_broadcast.h). Elements are computed in order, in place where wanted. No scratch. No alignment.
 */
#ifndef EW_MINMAX_H
#define EW_MINMAX_H

#include "ew_broadcast.h"

typedef struct {
    const int32_t *shape;
    int32_t count;
} ew_minimum_t;

typedef ew_minimum_t ew_maximum_t;
typedef ew_minimum_t ew_minimum_broadcast_t;
typedef ew_minimum_t ew_maximum_broadcast_t;

void ew_minimum(const ew_minimum_t *p, const int8_t *a, const int8_t *b, int8_t *out);
void ew_maximum(const ew_maximum_t *p, const int8_t *a, const int8_t *b, int8_t *out);
void ew_minimum_broadcast(const ew_minimum_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out);
void ew_maximum_broadcast(const ew_maximum_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out);

typedef struct {
    int32_t count;
    int8_t low, high;
} ew_clamp8_t;

void ew_clamp8(const ew_clamp8_t *p, const int8_t *in, int8_t *out);

#endif
