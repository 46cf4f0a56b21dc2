/* Limits to what an activation leaves. */
#ifndef EW_LIMIT_H
#define EW_LIMIT_H

#include "ew_base.h"

/* x[i] = clamp(x[i], low, high), unless that is all of int8. */
EW_INLINE void ew_limit(int8_t *x, int32_t count, int32_t low, int32_t high) {
    if (low == INT8_MIN && high == INT8_MAX) return;
    for (; count > 0; count--, x++) *x = (int8_t)ew_clamp(*x, low, high);
}

#endif
