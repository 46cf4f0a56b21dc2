#include "ew_softmax.h"

/* ew_high_mul() for factors that are not both the smallest integer. */
static __attribute__((noinline)) int32_t high(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* exp(x) with 31 fraction bits for x <= 0 with 26. No rounded term is negative: halves go upwards. */
static int32_t exponential(int32_t x) {
    static const int32_t powers[7] = {/* exp(-2^i), i = -2..4 */
                                      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (x == 0) return INT32_MAX;
    int32_t quarter = (x & 0xffffff) - 0x1000000; /* within [-1/4, 0) */
    int32_t rest = quarter - x;
    int32_t t = quarter * 32 + (1 << 28); /* distance from -1/8 */
    int32_t t2 = high(t, t);
    int32_t tail = high(((high(t2, t2) + 2) >> 2) + high(t2, t), 715827883) + t2; /* t2 + t3/3 + t4/12 */
    int32_t result = 1895147668 + high(1895147668, t + ((tail + 1) >> 1));        /* times exp(-1/8) */
    for (int32_t i = 0; i < 7; i++)
        if (rest >> (24 + i) & 1) result = high(result, powers[i]);
    return result;
}

/* The exponential of an element that is d above (below, if negative) the largest; 0 where it does not count. */
static __attribute__((noinline)) uint32_t term(const ew_softmax_t *p, int32_t d) {
    return d < p->diff_min ? 0 : (uint32_t)exponential(high((int32_t)((uint32_t)d << p->shift), p->multiplier));
}

/* 1 / (1 + x) for x in [0, 1), both with 31 fraction bits. */
static int32_t reciprocal(uint32_t x) {
    int32_t half = (int32_t)((x + 0x80000000u) >> 1); /* (1 + x) / 2 */
    int32_t y = 1515870810 + high(half, -1010580540); /* 29 fraction bits */
    for (int32_t i = 0; i < 3; i++) y += high(y, (1 << 29) - high(half, y)) * 4;
    return y < 1 << 30 ? y * 2 : INT32_MAX;
}

void ew_softmax(const ew_softmax_t *p, const int8_t *in, int8_t *out) {
    int32_t depth = p->depth;
    for (int32_t row = 0; row < p->rows; row++, in += depth, out += depth) {
        int32_t largest = INT8_MIN;
        uint32_t sum = 0;
        for (int32_t i = 0; i < depth; i++) largest = ew_max(largest, in[i]);
        for (int32_t i = 0; i < depth; i++) sum += (term(p, in[i] - largest) + 2048) >> 12;
        int32_t zeros = __builtin_clz(sum);
        int32_t scale = reciprocal(sum << zeros & 0x7fffffff);
        int32_t bits = 35 - zeros;
        for (int32_t i = 0; i < depth; i++) {
            uint32_t x = (uint32_t)high(scale, (int32_t)term(p, in[i] - largest));
            x = (x + (1u << (bits - 1))) >> bits;
            out[i] = (int8_t)((int32_t)(x < 255 ? x : 255) - 128);
        }
    }
}
