#include "ew_add.h"

#if defined(EW_MVE)
#include <arm_mve.h>

/* Four elements at a time; the hardware masks the last ones (DLSTP, LETP). Operand b comes as `load_b` says. */
#define ADD_RUN(load_b, ...)                                                                        \
    int32x4_t x, y, factor = vdupq_n_s32(p->factor_a);                                              \
    int32x4_t low = vdupq_n_s32(p->act_min), high = vdupq_n_s32(p->act_max);                        \
    __asm__ volatile("dlstp.32 lr, %[n]\n"                                                          \
                     "1:\n"                                                                         \
                     "vldrb.s32 %q[x], [%[a]], #4\n" load_b                                         \
                     "vmlas.s32 %q[x], %q[factor], %[offset]\n"                                     \
                     "vmla.s32 %q[x], %q[y], %[factor_b]\n"                                         \
                     "vshl.s32 %q[x], %[shift]\n"                                                   \
                     "vmax.s32 %q[x], %q[x], %q[low]\n"                                             \
                     "vmin.s32 %q[x], %q[x], %q[high]\n"                                            \
                     "vstrb.32 %q[x], [%[out]], #4\n"                                               \
                     "letp lr, 1b"                                                                  \
                     : [a] "+l"(a), [b] "+l"(b), [out] "+l"(out), [x] "=&w"(x), [y] "=&w"(y)        \
                     : [n] "r"(p->count), [factor] "w"(factor), [low] "w"(low), [high] "w"(high),   \
                       [offset] "r"(p->offset), [factor_b] "r"(p->factor_b), [shift] "r"(-p->shift) \
                       __VA_ARGS__                                                                  \
                     : "lr", "memory")

void ew_add_limit(const ew_add_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ADD_RUN("vldrb.s32 %q[y], [%[b]], #4\n", );
}

static void run(const void *params, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    const ew_add_t *p = params;
    uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)step);
    ADD_RUN("vldrb.s32 %q[y], [%[b], %q[at]]\n add %[b], %[four]\n", , [at] "w"(at), [four] "r"(4 * step));
}

void ew_add_broadcast_limit(const ew_add_broadcast_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run, p, a, b, out);
}

#else

EW_INLINE void add_run(const ew_add_t *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t step, int32_t low,
                       int32_t high) {
    int32_t factor_a = p->factor_a, factor_b = p->factor_b, offset = p->offset, shift = p->shift;
    for (int8_t *end = out + p->count; out < end; b += step)
        *out++ = ew_limit((offset + factor_a * *a++ + factor_b * *b) >> shift, low, high);
}

void ew_add(const ew_add_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    add_run(p, a, b, out, 1, INT8_MIN, INT8_MAX);
}

void ew_add_limit(const ew_add_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    add_run(p, a, b, out, 1, p->act_min, p->act_max);
}

static void run(const void *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    add_run(p, a, b, out, step, INT8_MIN, INT8_MAX);
}

static void run_limit(const void *params, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    const ew_add_t *p = params;
    add_run(p, a, b, out, step, p->act_min, p->act_max);
}

void ew_add_broadcast(const ew_add_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run, p, a, b, out);
}

void ew_add_broadcast_limit(const ew_add_broadcast_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run_limit, p, a, b, out);
}

#endif

static __attribute__((noinline)) int32_t scaled(int32_t x, int32_t multiplier, int32_t shift) {
    return ew_round_shift(ew_high_mul(x, multiplier), shift);
}

static void run_exact(const void *params, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    const ew_add_exact_t *p = params;
    for (int8_t *end = out + p->count; out < end; b += step) {
        int32_t x = scaled((*a++ - p->zero_a) * (1 << 20), p->multiplier_a, p->shift_a);
        int32_t y = scaled((*b - p->zero_b) * (1 << 20), p->multiplier_b, p->shift_b);
        *out++ = ew_limit(scaled(x + y, p->multiplier, p->shift) + p->out_zero, p->act_min, p->act_max);
    }
}

void ew_add_exact(const ew_add_exact_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run_exact, p, a, b, out);
}
