/* ew_lstm with MVE (ew_lstm.h): the gates of all units first, then eight units at a time. */
#include "ew_lstm.h"

#include "ew_dot4.h"
#include "ew_mve.h"

#if defined(EW_MVE)

/* 2 / (1 + e^(x / 2^bits)) in 2^-13 for x below 0: quotient() of ew_lstm.c. */
static int16x8_t quotient(int16x8_t x, int32_t bits) {
    static const int16_t power[6] = {25520, 19875, 12055, 4435, 600, 11};
    int16_t quarter = (int16_t)(1 << (bits - 2));
    int16x8_t below = vsubq_n_s16(vandq_s16(x, vdupq_n_s16((int16_t)(quarter - 1))), quarter);
    int16x8_t rest = vshlq_r_s16(vsubq_s16(below, x), 2 - bits);
    mve_pred16_t none = vcmpgtq_n_s16(rest, 63);
    x = vaddq_n_s16(vshlq_r_s16(below, 15 - bits), 1 << 12);
    int16x8_t x2 = vqrdmulhq_s16(x, x), x3 = vqrdmulhq_s16(x2, x), x4 = vqrdmulhq_s16(x2, x2);
    int16x8_t tail = vaddq_s16(vqrdmulhq_n_s16(vaddq_s16(vrshrq_n_s16(x4, 2), x3), 10923), x2);
    int16x8_t value = vqrdmulhq_n_s16(vaddq_s16(x, vrshrq_n_s16(tail, 1)), 28918);
    value = vqaddq_n_s16(value, 28918);
    for (int32_t i = 0; i < 6; i++) {
        mve_pred16_t set = vcmpneq_n_s16(vandq_s16(rest, vdupq_n_s16((int16_t)(1 << i))), 0);
        value = vpselq_s16(vqrdmulhq_n_s16(value, power[i]), value, set);
    }
    value = vpselq_s16(vdupq_n_s16(0), value, none);
    int16x8_t half = vrhaddq_s16(value, vdupq_n_s16(INT16_MAX));
    value = vaddq_n_s16(vqrdmulhq_n_s16(half, -15420), 23130);
    for (int32_t i = 0; i < 3; i++) {
        int16x8_t off = vsubq_s16(vdupq_n_s16(1 << 13), vqrdmulhq_s16(half, value));
        value = vaddq_s16(value, vshlq_n_s16(vqrdmulhq_s16(value, off), 2));
    }
    return value;
}

EW_INLINE int16x8_t minus_magnitude(int16x8_t x) { return vminq_s16(x, vnegq_s16(x)); }

static __attribute__((noinline)) int16x8_t sigmoid(int16x8_t x) {
    int16x8_t value = vqshlq_n_s16(quotient(minus_magnitude(x), 12), 1);
    value = vpselq_s16(vsubq_s16(vdupq_n_s16(INT16_MAX), value), value, vcmpltq_n_s16(x, 0));
    return vpselq_s16(vdupq_n_s16(1 << 14), value, vcmpeqq_n_s16(x, 0));
}

static __attribute__((noinline)) int16x8_t tanh16(int16x8_t x, int32_t bits) {
    int16x8_t value = vqshlq_n_s16(vsubq_n_s16(quotient(minus_magnitude(x), bits - 1), 1 << 13), 2);
    value = vpselq_s16(vnegq_s16(value), value, vcmpltq_n_s16(x, 0));
    return vpselq_s16(vdupq_n_s16(0), value, vcmpeqq_n_s16(x, 0));
}

/* ab / 2^n of all lanes, rounded to nearest, ties away from zero. */
EW_INLINE int16x8_t product(int16x8_t a, int16x8_t b, int32_t n) {
    int32x4_t even = vmullbq_int_s16(a, b), odd = vmulltq_int_s16(a, b);
    even = vrshlq_n_s32(vaddq_s32(even, vshrq_n_s32(even, 31)), -n);
    odd = vrshlq_n_s32(vaddq_s32(odd, vshrq_n_s32(odd, 31)), -n);
    return vmovntq_s32(vmovnbq_s32(vdupq_n_s16(0), even), odd);
}

EW_INLINE int32x4_t saturate(int32x4_t x) {
    return vminq_s32(vmaxq_s32(x, vdupq_n_s32(INT16_MIN)), vdupq_n_s32(INT16_MAX));
}

/* Gates of all units, four after each other. */
static void gates(const ew_lstm_t *p, const int8_t *x, const int8_t *h, int16_t *gate) {
    const int8_t *w = p->weights;
    for (int32_t u = 0; u < p->units; u++, gate += 4) {
        int32_t acc[8];
        memcpy(acc, p->bias + 8 * u, sizeof acc);
        w = ew_dot4(w, x, p->in_c, acc);
        w = ew_dot4(w, h, p->units, acc + 4);
        int32x4_t a = vldrwq_s32(acc), b = vldrwq_s32(acc + 4);
        a = ew_mve_requantize(a, vldrwq_s32(p->multiplier), vldrbq_s32(p->shift));
        b = ew_mve_requantize(b, vldrwq_s32(p->multiplier + 4), vldrbq_s32(p->shift + 4));
        vstrhq_s32(gate, saturate(vaddq_s32(saturate(a), b)));
    }
}

/* States and outputs of all units. `gate` is readable up to a multiple of eight units. */
static void update(const ew_lstm_t *p, const int16_t *gate, int16_t *cell, int8_t *out) {
    for (int32_t n = p->units; n > 0; n -= 8, gate += 32, cell += 8, out += 8) {
        mve_pred16_t some = vctp16q((uint32_t)n);
        int16x8x4_t g = vld4q_s16(gate);
        int16x8_t value = product(sigmoid(g.val[1]), vldrhq_z_s16(cell, some), 15);
        value = vqaddq_s16(value, product(sigmoid(g.val[0]), tanh16(g.val[2], 12), 30 - p->cell_bits));
        if (p->cell_clip > 0) {
            value = vminq_s16(vmaxq_s16(value, vdupq_n_s16((int16_t)-p->cell_clip)), vdupq_n_s16(p->cell_clip));
        }
        vstrhq_p_s16(cell, value, some);
        int16x8_t gated = sigmoid(g.val[3]), squashed = tanh16(value, p->cell_bits);
        int32x4_t even = vmullbq_int_s16(gated, squashed), odd = vmulltq_int_s16(gated, squashed);
        even = ew_mve_narrow(ew_mve_requantize_all(even, p->hidden_multiplier, p->hidden_shift), p->hidden_zero);
        odd = ew_mve_narrow(ew_mve_requantize_all(odd, p->hidden_multiplier, p->hidden_shift), p->hidden_zero);
        vstrbq_p_s16(out, vmovntq_s32(vmovnbq_s32(vdupq_n_s16(0), even), odd), some);
    }
}

void ew_lstm(const ew_lstm_t *p, const int8_t *in, int8_t *out, int8_t *hidden, int16_t *cell, void *scratch) {
    int16_t *gate = scratch;
    for (int32_t row = 0; row < p->time * p->batch; row++, in += p->in_c, out += p->units) {
        int32_t place = (p->time_major ? row % p->batch : row / p->time) * p->units;
        gates(p, in, hidden + place, gate);
        update(p, gate, cell + place, out);
        memcpy(hidden + place, out, (size_t)p->units);
    }
}

#endif
