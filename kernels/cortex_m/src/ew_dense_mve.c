/* FULLY_CONNECTED with MVE (ew_conv.h). Weights are OI, as in the file; four of their rows with one input at a time.
 * No scratch. */
#include "ew_conv.h"
#include "ew_mve.h"

#if defined(EW_MVE)

/* Four sums of n products; weights[i]: rows. */
static int32x4_t products(const int8_t *in, const int8_t *const weights[4], int32_t n) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    const int8_t *w0 = weights[0], *w1 = weights[1], *w2 = weights[2], *w3 = weights[3];
    int32x4_t sums;
    __asm volatile(
        "   dlstp.8  lr, %[n]\n"
        "1: vldrb.8  q0, [%[in]], #16\n"
        "   vldrb.8  q1, [%[w0]], #16\n"
        "   vmladava.s8 %[s0], q0, q1\n"
        "   vldrb.8  q1, [%[w1]], #16\n"
        "   vmladava.s8 %[s1], q0, q1\n"
        "   vldrb.8  q1, [%[w2]], #16\n"
        "   vmladava.s8 %[s2], q0, q1\n"
        "   vldrb.8  q1, [%[w3]], #16\n"
        "   vmladava.s8 %[s3], q0, q1\n"
        "   letp     lr, 1b\n"
        "   vmov     %e[sums], %[s0], %[s1]\n"
        "   vmov     %f[sums], %[s2], %[s3]\n"
        : [in] "+r"(in), [w0] "+r"(w0), [w1] "+r"(w1), [w2] "+r"(w2), [w3] "+r"(w3), [s0] "+Te"(s0), [s1] "+Te"(s1),
          [s2] "+Te"(s2), [s3] "+Te"(s3), [sums] "=w"(sums)
        : [n] "r"(n)
        : "q0", "q1", "lr", "memory");
    return sums;
}

/* Outputs o to o + 3, as far as there are such. */
static void four(const ew_dense_t *p, const int8_t *in, int8_t *out, int32_t o) {
    int32_t count = ew_min(p->out_c - o, 4);
    mve_pred16_t valid = vctp32q((uint32_t)count);
    const int8_t *weights[4];
    for (int32_t i = 0; i < 4; i++) weights[i] = p->weights + (o + ew_min(i, count - 1)) * p->in_c;
    int32x4_t multiplier = vdupq_n_s32(p->multiplier[0]), shift = vdupq_n_s32(p->shift[0]);
    if (p->per_channel) {
        multiplier = vldrwq_z_s32(p->multiplier + o, valid);
        shift = vldrbq_z_s32(p->shift + o, valid);
    }
    int32x4_t sums = vaddq_s32(products(in, weights, p->in_c), vldrwq_z_s32(p->bias + o, valid));
    vstrbq_p_s32(out + o, ew_mve_narrow(ew_mve_requantize(sums, multiplier, shift), p->out_zero), valid);
}

void ew_dense(const ew_dense_t *p, const int8_t *in, int8_t *out, void *scratch) {
    (void)scratch;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_c, out += p->out_c) {
        for (int32_t o = 0; o < p->out_c; o += 4) four(p, in, out, o);
        ew_mve_limit(out, p->out_c, p->act_min, p->act_max);
    }
}

#endif
