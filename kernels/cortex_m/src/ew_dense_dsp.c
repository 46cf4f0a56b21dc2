#include "ew_dense.h"
#include "ew_dot.h"
#include "ew_once.h"

#if defined(EW_DSP)

/* One row of inputs. */
static void row(const ew_dense_t *p, const int8_t *in, int8_t *out) {
    const int8_t *weights = p->weights, *shift = p->shift;
    const int32_t *multiplier = p->multiplier, *bias = p->bias;
    int32_t fine = p->fine, step = p->per_channel, zero = p->out_zero, low = p->act_min, high = p->act_max;
    for (int32_t left = p->out_c, now; left > 0; left -= now, weights += now * p->in_c) {
        int32_t sums[4];
        now = ew_dot(in, weights, p->in_c, left, p->wide, sums);
        for (int32_t i = 0; i < now; i++, multiplier += step << fine, shift += step) {
            int32_t value = ew_round_once(ew_add32(sums[i], *bias++), multiplier, *shift, fine);
            *out++ = (int8_t)ew_clamp(value + zero, low, high);
        }
    }
}

void ew_dense(const ew_dense_t *p, const int8_t *in, int8_t *out, void *scratch) {
    (void)scratch;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_c, out += p->out_c) row(p, in, out);
}

#endif
