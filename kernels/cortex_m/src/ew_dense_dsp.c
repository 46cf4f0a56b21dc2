#include "ew_conv.h"
#include "ew_dot.h"
#include "ew_once.h"

#if defined(EW_DSP)

static int8_t finish(const ew_dense_t *p, int32_t o, int32_t sum) {
    int32_t which = p->per_channel ? o : 0;
    int32_t value = ew_round_once(ew_add32(sum, p->bias[o]), p->multiplier + (which << p->fine), p->shift[which], p->fine);
    return (int8_t)ew_clamp(value + p->out_zero, p->act_min, p->act_max);
}

void ew_dense(const ew_dense_t *p, const int8_t *in, int8_t *out, void *scratch) {
    (void)scratch;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_c, out += p->out_c) {
        for (int32_t o = 0; o < p->out_c;) {
            int32_t sums[4];
            int32_t now = ew_dot(in, p->weights + o * p->in_c, p->in_c, p->out_c - o, p->wide, sums);
            for (int32_t i = 0; i < now; i++, o++) out[o] = finish(p, o, sums[i]);
        }
    }
}

#endif
