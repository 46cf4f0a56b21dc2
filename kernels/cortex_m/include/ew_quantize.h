/* QUANTIZE and DEQUANTIZE between float32 and int8, and between uint8 and int8 of the same scale.
 *
 *     ew_quantize:   out = clamp(round(in / scale) + zero, -128, 127)     halves away from zero; NaN gives -128
 *     ew_dequantize: out = scale * (in - zero)
 *     ew_flip:       out = in with its sign bit turned over: uint8 to int8 and back, with zero points 128 apart
 *
 * The first two are the only kernels that compute with floats. Elements are computed in order. ew_flip and
 * ew_quantize may run in place; the output of ew_dequantize must not overlap with its input. No scratch. No
 * alignment.
 */
#ifndef EW_QUANTIZE_H
#define EW_QUANTIZE_H

#include "ew_base.h"

typedef struct {
    int32_t count;
    float scale;
    int32_t zero;
} ew_quantize_t;

typedef ew_quantize_t ew_dequantize_t;

void ew_quantize(const ew_quantize_t *p, const void *in, void *out);
void ew_dequantize(const ew_dequantize_t *p, const void *in, void *out);

typedef struct {
    int32_t count;
} ew_flip_t;

void ew_flip(const ew_flip_t *p, const void *in, void *out);

#endif
