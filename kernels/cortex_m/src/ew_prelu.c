#include "ew_prelu.h"

static void run(const void *params, const int8_t *in, const int8_t *alpha, int8_t *out, int32_t step, int32_t step_alpha) {
    const ew_prelu_t *p = params;
    int32_t zero_in = p->zero_in, zero_alpha = p->zero_alpha;
    for (int8_t *end = out + p->count; out < end; in += step, alpha += step_alpha) {
        int32_t x = *in - zero_in, side = x < 0;
        x *= p->lift[side];
        if (side) x *= *alpha - zero_alpha;
        int32_t y = ew_round_mul(x, p->multiplier[side]);
        y = (y + ((y >> 31) & p->tie[side]) + p->offset[side]) >> p->shift[side];
        *out++ = ew_limit(y, INT8_MIN, INT8_MAX);
    }
}

void ew_prelu(const ew_prelu_t *p, const int8_t *in, const int8_t *alpha, int8_t *out) {
    static const int32_t flat[3] = {1, 1, 0};
    ew_broadcast(p->shape ? p->shape : flat, p->count, run, p, in, alpha, out);
}
