#include "ew_conv.h"
#include "ew_once.h"

#if defined(EW_PORTABLE)

static void store(const ew_dense_t *p, int32_t o, uint32_t sum, int8_t *out) {
    int32_t which = p->per_channel ? o : 0, acc = (int32_t)(sum + (uint32_t)p->bias[o]);
    int32_t value = ew_round_once(acc, p->multiplier + (which << p->fine), p->shift[which], p->fine);
    out[o] = (int8_t)ew_clamp(value + p->out_zero, p->act_min, p->act_max);
}

void ew_dense(const ew_dense_t *p, const int8_t *in, int8_t *out, void *scratch) {
    (void)scratch;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_c, out += p->out_c) {
        const int8_t *w = p->weights;
        for (int32_t o = 0; o < p->out_c; o++) {
            uint32_t sum = 0;
            for (int32_t i = 0; i < p->in_c; i++) sum += (uint32_t)(*w++ * in[i]);
            store(p, o, sum, out);
        }
    }
}

#endif
