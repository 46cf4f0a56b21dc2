/* FULLY_CONNECTED with MVE (ew_conv.h). Weights are OI, as in the file; four of their rows with one input at a time.
 * No scratch. */
#include "ew_conv.h"
#include "ew_mve.h"
#include "ew_once.h"

#if defined(EW_MVE)

/* Adds the products of n inputs with each of four rows of weights to `sums`; rows are `step` bytes apart. */
static void add_products(const int8_t *in, const int8_t *weights, int32_t step, int32_t n, int32_t sums[4]) {
    const int8_t *w1 = weights + step, *w2 = w1 + step, *w3 = w2 + step;
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
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
        : [in] "+r"(in), [w0] "+r"(weights), [w1] "+r"(w1), [w2] "+r"(w2), [w3] "+r"(w3), [s0] "+Te"(s0),
          [s1] "+Te"(s1), [s2] "+Te"(s2), [s3] "+Te"(s3)
        : [n] "r"(n)
        : "q0", "q1", "lr", "memory");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

static int8_t output(const ew_dense_t *p, int32_t o, int32_t sum) {
    int32_t which = p->per_channel ? o : 0, acc = ew_add32(sum, p->bias[o]);
    int32_t value = ew_round_once(acc, p->multiplier + (which << p->fine), p->shift[which], p->fine);
    return (int8_t)ew_clamp(value + p->out_zero, p->act_min, p->act_max);
}

/* Four outputs at a time; the last ones each for itself. */
void ew_dense(const ew_dense_t *p, const int8_t *in, int8_t *out, void *scratch) {
    (void)scratch;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_c, out += p->out_c) {
        for (int32_t o = 0; o < p->out_c;) {
            int32_t sums[4] = {0, 0, 0, 0}, count = o + 4 <= p->out_c ? 4 : 1;
            add_products(in, p->weights + o * p->in_c, count == 4 ? p->in_c : 0, p->in_c, sums);
            for (int32_t i = 0; i < count; i++, o++) out[o] = output(p, o, sums[i]);
        }
    }
}

#endif
