/* A function of one byte as a table: out[i] = table[(uint8_t)in[i]].
 *
 * For int8 the table is in the order of the byte, 0 to 127 and then -128 to -1; both sides may be uint8 as well.
 * Elements are computed in order, in place where wanted. No scratch. No alignment.
 */
#ifndef EW_LUT_H
#define EW_LUT_H

#include "ew_base.h"

typedef struct {
    const int8_t *table; /* 256 */
    int32_t count;
} ew_lut_t;

void ew_lut(const ew_lut_t *p, const void *in, void *out);

#endif
