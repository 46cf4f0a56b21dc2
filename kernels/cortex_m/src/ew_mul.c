#include "ew_mul.h"

#if defined(EW_MVE)
#include <arm_mve.h>

/* Four elements at a time; the hardware masks the last ones (DLSTP, LETP). Operand b comes as `load_b` says. VQRDMULH
 * doubles: lift and add_a without their factor of 2. */
#define MUL_RUN(load_b, ...)                                                                             \
    int32x4_t x, y, tie = vdupq_n_s32(p->tie);                                                           \
    int32x4_t low = vdupq_n_s32(p->act_min), high = vdupq_n_s32(p->act_max);                             \
    __asm__ volatile("dlstp.32 lr, %[n]\n"                                                               \
                     "1:\n"                                                                              \
                     "vldrb.s32 %q[x], [%[a]], #4\n" load_b                                              \
                     "vmul.i32 %q[x], %q[x], %[lift]\n"                                                  \
                     "vadd.i32 %q[x], %q[x], %[add_a]\n"                                                 \
                     "vadd.i32 %q[y], %q[y], %[add_b]\n"                                                 \
                     "vmul.i32 %q[x], %q[x], %q[y]\n"                                                    \
                     "vqrdmulh.s32 %q[x], %q[x], %[multiplier]\n"                                        \
                     "vshr.s32 %q[y], %q[x], #31\n"                                                      \
                     "vand %q[y], %q[y], %q[tie]\n"                                                      \
                     "vadd.i32 %q[x], %q[x], %q[y]\n"                                                    \
                     "vadd.i32 %q[x], %q[x], %[offset]\n"                                                \
                     "vshl.s32 %q[x], %[shift]\n"                                                        \
                     "vmax.s32 %q[x], %q[x], %q[low]\n"                                                  \
                     "vmin.s32 %q[x], %q[x], %q[high]\n"                                                 \
                     "vstrb.32 %q[x], [%[out]], #4\n"                                                    \
                     "letp lr, 1b"                                                                       \
                     : [a] "+l"(a), [b] "+l"(b), [out] "+l"(out), [x] "=&w"(x), [y] "=&w"(y)             \
                     : [n] "r"(p->count), [tie] "w"(tie), [low] "w"(low), [high] "w"(high),              \
                       [lift] "r"(p->lift / 2), [add_a] "r"(p->add_a / 2), [add_b] "r"((int32_t)p->add_b), \
                       [multiplier] "r"(p->multiplier), [offset] "r"(p->offset), [shift] "r"(-p->shift)  \
                       __VA_ARGS__                                                                       \
                     : "lr", "memory")

void ew_mul_limit(const ew_mul_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    MUL_RUN("vldrb.s32 %q[y], [%[b]], #4\n", );
}

static void run(const void *params, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    const ew_mul_t *p = params;
    uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)step);
    MUL_RUN("vldrb.s32 %q[y], [%[b], %q[at]]\n add %[b], %[four]\n", , [at] "w"(at), [four] "r"(4 * step));
}

void ew_mul_broadcast_limit(const ew_mul_broadcast_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run, p, a, b, out);
}

#else

EW_INLINE void mul_run(const ew_mul_t *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t step, int32_t low,
                       int32_t high) {
    int32_t lift = p->lift, add_a = p->add_a, add_b = p->add_b, multiplier = p->multiplier, tie = p->tie;
    int32_t offset = p->offset, shift = p->shift;
    for (int8_t *end = out + p->count; out < end; b += step) {
        int32_t y = ew_round_mul((*a++ * lift + add_a) * (*b + add_b), multiplier);
        *out++ = ew_limit((y + ((y >> 31) & tie) + offset) >> shift, low, high);
    }
}

void ew_mul(const ew_mul_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    mul_run(p, a, b, out, 1, INT8_MIN, INT8_MAX);
}

void ew_mul_limit(const ew_mul_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    mul_run(p, a, b, out, 1, p->act_min, p->act_max);
}

static void run(const void *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    mul_run(p, a, b, out, step, INT8_MIN, INT8_MAX);
}

static void run_limit(const void *params, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    const ew_mul_t *p = params;
    mul_run(p, a, b, out, step, p->act_min, p->act_max);
}

void ew_mul_broadcast(const ew_mul_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run, p, a, b, out);
}

void ew_mul_broadcast_limit(const ew_mul_broadcast_limit_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run_limit, p, a, b, out);
}

#endif
