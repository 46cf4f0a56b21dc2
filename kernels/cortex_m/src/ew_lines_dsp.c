#include "ew_dsp.h"
#include "ew_lines.h"

#if defined(EW_DSP)

void ew_scatter(ew_value_t *to, int32_t apart, const int8_t *from, int32_t channels) {
    for (; channels >= 4; channels -= 4, from += 4, to += 4 * apart) {
        uint32_t word = ew_word(from);
        to[0] = (int8_t)word;
        to[apart] = (int8_t)(word >> 8);
        to[2 * apart] = (int8_t)(word >> 16);
        to[3 * apart] = (int8_t)(word >> 24);
    }
    for (; channels > 0; channels--, to += apart) *to = *from++;
}

/* What one channel's outputs have in common. */
typedef struct {
    int32_t bias, multiplier, step, zero;
} constants_t;

static inline int8_t finish(const constants_t *k, int32_t start, int32_t sum) {
    int32_t twice = (int32_t)((uint32_t)k->bias + 2 * (uint32_t)sum);
    return (int8_t)ew_dsp_quick(twice, k->multiplier, k->step, start);
}

/* 3x3 taps: the weights stay in registers. */
static void nine(const ew_lines_t *l, const int16_t *x, const int8_t *w, int8_t *out, const constants_t *k) {
    uint32_t low = ew_word(w), high = ew_word(w + 4);
    uint32_t w0 = ew_even_bytes(low), w1 = ew_odd_bytes(low), w2 = ew_even_bytes(high), w3 = ew_odd_bytes(high);
    int32_t w4 = w[8], start = (int32_t)((uint32_t)k->zero << k->step);
    for (int32_t n = l->count; n > 0; n--, x += l->step, out += l->out_step) {
        int32_t sum = ew_smlad(ew_word(x + 2), w1, ew_smuad(ew_word(x), w0));
        sum = ew_smlad(ew_word(x + 6), w3, ew_smlad(ew_word(x + 4), w2, sum)) + w4 * x[8];
        *out = finish(k, start, sum);
    }
}

static int32_t sum_of(const int16_t *x, const int8_t *w, const uint32_t *pairs, int32_t taps) {
    int32_t sum = taps & 1 ? x[taps - 1] * w[taps - 1] : 0;
    for (; taps >= 2; taps -= 2, x += 2) sum = ew_smlad(ew_word(x), *pairs++, sum);
    return sum;
}

/* Any number of taps, with the weights widened in scratch. */
static void any(const ew_lines_t *l, const int16_t *x, const int8_t *w, int8_t *out, const constants_t *k) {
    uint32_t *pair = l->pairs;
    int32_t i = 0;
    for (; i + 4 <= l->taps; i += 4) {
        uint32_t word = ew_word(w + i);
        *pair++ = ew_even_bytes(word), *pair++ = ew_odd_bytes(word);
    }
    if (l->taps & 2) *pair++ = ew_pair(w[i], w[i + 1]);
    for (int32_t n = l->count; n > 0; n--, x += l->step, out += l->out_step) {
        int32_t sum = sum_of(x, w, l->pairs, l->taps);
        *out = (int8_t)ew_dsp_finish(sum, k->bias, k->multiplier, k->step, k->zero);
    }
}

void ew_lines(const ew_lines_t *l) {
    const int16_t *plane = l->window;
    const int8_t *w = l->weights;
    for (int32_t o = 0, of = 0; o < l->channels; o++, w += l->taps) {
        constants_t k = {l->bias[2 * o], l->bias[2 * o + 1], l->shift[o], 2 * l->out_zero + 1};
        if (l->taps == 9 && k.step >= 0) {
            nine(l, plane, w, l->out + o, &k);
        } else {
            any(l, plane, w, l->out + o, &k);
        }
        if (++of == l->per) of = 0, plane += l->apart;
    }
}

#endif
