#include "ew_lstm.h"

#include "ew_dot4.h"

#if !defined(EW_MVE)

/* ab / 2^15, rounded to nearest, ties upwards; not for a = b = -2^15. */
EW_INLINE int32_t mul15(int32_t a, int32_t b) { return (a * b + (1 << 14)) >> 15; }

/* x / 2^n, n in 1..30, |x| <= 2^30, rounded to nearest, ties away from zero. */
EW_INLINE int32_t divide(int32_t x, int32_t n) { return (x + (1 << (n - 1)) + (x >> 31)) >> n; }

EW_INLINE int32_t saturate(int32_t x) { return ew_clamp(x, INT16_MIN, INT16_MAX); }

static __attribute__((noinline)) int32_t scaled(int32_t x, int32_t multiplier, int32_t shift) {
    return ew_requantize(x, multiplier, shift);
}

/* 2 / (1 + e^-(n / 2^bits)) in 2^-13, n in 1..2^15. e^x is a Taylor series around -1/8 for what n has below 1/4, times
 * e^-(2^i / 4) for every bit i of the rest; the quotient is three steps of Newton's method. */
static __attribute__((noinline)) int32_t quotient(int32_t n, int32_t bits) {
    static const int16_t power[6] = {25520, 19875, 12055, 4435, 600, 11};
    int32_t quarter = 1 << (bits - 2);
    int32_t below = (-n & (quarter - 1)) - quarter;
    uint32_t rest = (uint32_t)(below + n) >> (bits - 2);
    int32_t x = below * (1 << (15 - bits)) + (1 << 12);
    int32_t x2 = mul15(x, x), x3 = mul15(x2, x), x4 = mul15(x2, x2);
    int32_t tail = divide(mul15(divide(x4, 2) + x3, 10923) + x2, 1);
    int32_t value = rest < 64 ? saturate(28918 + mul15(28918, x + tail)) : 0;
    for (const int16_t *factor = power; rest & 63; rest >>= 1, factor++) {
        if (rest & 1) value = mul15(value, *factor);
    }
    int32_t half = (value + (1 << 15)) >> 1;
    value = 23130 + mul15(half, -15420);
    value += mul15(value, (1 << 13) - mul15(half, value)) * 4;
    value += mul15(value, (1 << 13) - mul15(half, value)) * 4;
    return value + mul15(value, (1 << 13) - mul15(half, value)) * 4;
}

int32_t ew_lstm_sigmoid(int32_t x) {
    if (x == 0) return 1 << 14;
    int32_t value = ew_min(quotient(x < 0 ? -x : x, 12) * 2, INT16_MAX);
    return x > 0 ? value : INT16_MAX - value;
}

int32_t ew_lstm_tanh(int32_t x, int32_t bits) {
    if (x == 0) return 0;
    int32_t value = ew_min((quotient(x < 0 ? -x : x, bits - 1) - (1 << 13)) * 4, INT16_MAX);
    return x > 0 ? value : -value;
}

/* The four gates of one unit, before sigmoid and tanh; returns the weights of the next unit. */
static const int8_t *gates(const ew_lstm_t *p, const int8_t *w, const int32_t *bias, const int8_t *x, const int8_t *h,
                           int32_t *gate) {
    int32_t acc[8];
    memcpy(acc, bias, sizeof acc);
    w = ew_dot4(w, x, (p->in_c + EW_DOT4_GROUP - 1) & -EW_DOT4_GROUP, acc);
    w = ew_dot4(w, h, (p->units + EW_DOT4_GROUP - 1) & -EW_DOT4_GROUP, acc + 4);
    for (int32_t k = 0; k < 4; k++) {
        int32_t from_x = saturate(scaled(acc[k], p->multiplier[k], p->shift[k]));
        gate[k] = saturate(ew_add32(from_x, scaled(acc[4 + k], p->multiplier[4 + k], p->shift[4 + k])));
    }
    return w;
}

/* The cell state of one unit from the old one and its gates; *hidden is its output. */
static int32_t update(const ew_lstm_t *p, int32_t cell, const int32_t *gate, int8_t *hidden) {
    int32_t kept = divide(ew_lstm_sigmoid(gate[1]) * cell, 15);
    int32_t added = divide(ew_lstm_sigmoid(gate[0]) * ew_lstm_tanh(gate[2], 12), 30 - p->cell_bits);
    int32_t value = saturate(kept + added);
    if (p->cell_clip > 0) value = ew_clamp(value, -p->cell_clip, p->cell_clip);
    int32_t product = ew_lstm_sigmoid(gate[3]) * ew_lstm_tanh(value, p->cell_bits);
    int32_t output = scaled(product, p->hidden_multiplier, p->hidden_shift) + p->hidden_zero;
    *hidden = (int8_t)ew_clamp(output, INT8_MIN, INT8_MAX);
    return value;
}

void ew_lstm(const ew_lstm_t *p, const int8_t *in, int8_t *out, int8_t *hidden, int16_t *cell, void *scratch) {
    int8_t *x = scratch, *h = x + ((p->in_c + 15) & ~15);
    for (int32_t row = 0; row < p->time * p->batch; row++, in += p->in_c, out += p->units) {
        int32_t place = (p->time_major ? row % p->batch : row / p->time) * p->units;
        const int8_t *w = p->weights;
        memcpy(x, in, (size_t)p->in_c);
        memcpy(h, hidden + place, (size_t)p->units);
        for (int32_t u = 0; u < p->units; u++) {
            int32_t gate[4];
            w = gates(p, w, p->bias + 8 * u, x, h, gate);
            cell[place + u] = (int16_t)update(p, cell[place + u], gate, &out[u]);
        }
        memcpy(hidden + place, out, (size_t)p->units);
    }
}

#endif
