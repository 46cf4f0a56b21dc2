#include "ew_svdf.h"

#include "ew_dot4.h"

/* Puts the newest value of every filter into its last place. */
static void append(const ew_svdf_t *p, const int8_t *x, int16_t *state) {
    const int8_t *w = p->feature;
    int32_t filters = p->units * p->rank;
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

/* Adds the products of one filter's values with `time` to acc, and forgets the oldest. */
static uint32_t look_back(const int16_t *time, int16_t *state, int32_t memory, uint32_t acc) {
    int32_t value = state[0];
    acc += (uint32_t)(*time++ * value);
    for (; memory > 1; memory--, state++) {
        value = state[1];
        acc += (uint32_t)(*time++ * value);
        state[0] = (int16_t)value;
    }
    return acc;
}

void ew_svdf(const ew_svdf_t *p, const int8_t *in, int8_t *out, int16_t *state, void *scratch) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in_c) {
        const int16_t *time = p->time;
        memcpy(scratch, in, (size_t)p->in_c);
        append(p, scratch, state);
        for (int32_t u = 0; u < p->units; u++) {
            uint32_t acc = (uint32_t)p->bias[u];
            for (int32_t r = 0; r < p->rank; r++, time += p->memory, state += p->memory) {
                acc = look_back(time, state, p->memory, acc);
            }
            int32_t value = ew_requantize((int32_t)acc, p->multiplier_time, p->shift_time) + p->out_zero;
            *out++ = (int8_t)ew_clamp(value, INT8_MIN, INT8_MAX);
        }
    }
}
