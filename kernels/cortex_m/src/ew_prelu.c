#include "ew_prelu.h"

static void run(const void *params, const int8_t *in, const int8_t *alpha, int8_t *out, int32_t step) {
    const ew_prelu_t *p = params;
    int32_t zero_in = p->zero_in, zero_alpha = p->zero_alpha;
    int32_t lift0 = p->lift[0], multiplier0 = p->multiplier[0], offset0 = p->offset[0], shift0 = p->shift[0];
    int32_t lift1 = p->lift[1], multiplier1 = p->multiplier[1], offset1 = p->offset[1], shift1 = p->shift[1];
    int32_t tie1 = p->tie[1];
    for (int8_t *end = out + p->count; out < end; alpha += step) {
        int32_t x = *in++ - zero_in;
        if (x >= 0) {
            x = (ew_round_mul(x * lift0, multiplier0) + offset0) >> shift0;
        } else {
            int32_t y = ew_round_mul(x * lift1 * (*alpha - zero_alpha), multiplier1);
            x = (y + ((y >> 31) & tie1) + offset1) >> shift1;
        }
        *out++ = ew_limit(x, INT8_MIN, INT8_MAX);
    }
}

void ew_prelu(const ew_prelu_t *p, const int8_t *in, const int8_t *alpha, int8_t *out) {
    ew_broadcast(p->shape, p->count, run, p, in, alpha, out);
}
