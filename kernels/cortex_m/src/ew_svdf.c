#include "ew_svdf.h"

#include "ew_dot4.h"

/* Forgets the oldest value of every filter, and appends the newest. */
static void remember(const ew_svdf_t *p, const int8_t *x, int16_t *state) {
    const int8_t *w = p->feature;
    int32_t filters = p->units * p->rank;
    memmove(state, state + 1, sizeof(int16_t) * (size_t)(filters * p->memory - 1));
    for (int32_t f = 0; f < filters; f += 4) {
        int32_t acc[4];
        memcpy(acc, p->bias_feature + f, sizeof acc);
        w = ew_dot4(w, x, (p->in_c + EW_DOT4_GROUP - 1) & -EW_DOT4_GROUP, acc);
        for (int32_t i = 0; i < 4 && f + i < filters; i++) {
            int32_t value = ew_requantize(acc[i], p->multiplier_feature, p->shift_feature);
            state[(f + i + 1) * p->memory - 1] = (int16_t)ew_clamp(value, INT16_MIN, INT16_MAX);
        }
    }
}

void ew_svdf(const ew_svdf_t *p, const int8_t *in, int8_t *out, int16_t *state, void *scratch) {
    int32_t window = p->rank * p->memory;
    for (int32_t b = 0; b < p->batch; b++, in += p->in_c) {
        const int16_t *time = p->time;
        memcpy(scratch, in, (size_t)p->in_c);
        remember(p, scratch, state);
        for (int32_t u = 0; u < p->units; u++) {
            uint32_t acc = (uint32_t)p->bias[u];
            for (int32_t i = 0; i < window; i++) acc += (uint32_t)(*time++ * *state++);
            int32_t value = ew_requantize((int32_t)acc, p->multiplier_time, p->shift_time) + p->out_zero;
            *out++ = (int8_t)ew_clamp(value, INT8_MIN, INT8_MAX);
        }
    }
}
