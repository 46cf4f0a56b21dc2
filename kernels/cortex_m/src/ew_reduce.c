#include "ew_reduce.h"

/* The sum, or the maximum of x ^ flip, of the folded axes from `at`. */
EW_INLINE int32_t fold(const ew_reduce_sum_t *p, const int8_t *at, int largest) {
    int32_t found = largest ? -128 : 0;
    for (int32_t i = p->fold[0]; i > 0; i--, at += p->fold_step[0]) {
        const int8_t *middle = at;
        for (int32_t j = p->fold[1]; j > 0; j--, middle += p->fold_step[1]) {
            const int8_t *inner = middle;
            for (int32_t k = p->fold[2]; k > 0; k--, inner += p->fold_step[2]) {
                found = largest ? ew_max(found, *inner ^ p->flip) : found + *inner;
            }
        }
    }
    return found;
}

EW_INLINE int8_t finish(const ew_reduce_sum_t *p, int32_t found, int largest) {
    if (largest) return (int8_t)(found ^ p->flip);
    int32_t sum = ew_requantize(ew_add32(found, p->offset), p->multiplier, p->shift);
    return (int8_t)ew_clamp(sum + p->out_zero, -128, 127);
}

EW_INLINE void reduce(const ew_reduce_sum_t *p, const int8_t *in, int8_t *out, int largest) {
    for (int32_t i = p->keep[0]; i > 0; i--, in += p->keep_step[0]) {
        const int8_t *middle = in;
        for (int32_t j = p->keep[1]; j > 0; j--, middle += p->keep_step[1]) {
            const int8_t *inner = middle;
            for (int32_t k = p->keep[2]; k > 0; k--, inner += p->keep_step[2]) {
                *out++ = finish(p, fold(p, inner, largest), largest);
            }
        }
    }
}

void ew_reduce_sum(const ew_reduce_sum_t *p, const int8_t *in, int8_t *out) { reduce(p, in, out, 0); }

void ew_reduce_max(const ew_reduce_max_t *p, const int8_t *in, int8_t *out) { reduce(p, in, out, 1); }
