#include "ew_minmax.h"

#if defined(EW_MVE)
#include <arm_mve.h>

/* Sixteen elements at a time; the hardware masks the last ones (DLSTP, LETP). */
#define PICK_RUN(name, instruction)                                                         \
    EW_INLINE void name(const int8_t *a, const int8_t *b, int8_t *out, int32_t count) {     \
        int8x16_t x, y;                                                                     \
        __asm__ volatile("dlstp.8 lr, %[n]\n"                                               \
                         "1:\n"                                                             \
                         "vldrb.8 %q[x], [%[a]], #16\n"                                     \
                         "vldrb.8 %q[y], [%[b]], #16\n" instruction " %q[x], %q[x], %q[y]\n" \
                         "vstrb.8 %q[x], [%[out]], #16\n"                                   \
                         "letp lr, 1b"                                                      \
                         : [a] "+r"(a), [b] "+r"(b), [out] "+r"(out), [x] "=&w"(x), [y] "=&w"(y) \
                         : [n] "r"(count)                                                   \
                         : "lr", "memory");                                                 \
    }
PICK_RUN(least, "vmin.s8")
PICK_RUN(most, "vmax.s8")

void ew_minimum(const ew_minimum_t *p, const int8_t *a, const int8_t *b, int8_t *out) { least(a, b, out, p->count); }
void ew_maximum(const ew_maximum_t *p, const int8_t *a, const int8_t *b, int8_t *out) { most(a, b, out, p->count); }

void ew_clamp8(const ew_clamp8_t *p, const int8_t *in, int8_t *out) {
    int8x16_t x, low = vdupq_n_s8(p->low), high = vdupq_n_s8(p->high);
    __asm__ volatile("dlstp.8 lr, %[n]\n"
                     "1:\n"
                     "vldrb.8 %q[x], [%[in]], #16\n"
                     "vmax.s8 %q[x], %q[x], %q[low]\n"
                     "vmin.s8 %q[x], %q[x], %q[high]\n"
                     "vstrb.8 %q[x], [%[out]], #16\n"
                     "letp lr, 1b"
                     : [in] "+r"(in), [out] "+r"(out), [x] "=&w"(x)
                     : [n] "r"(p->count), [low] "w"(low), [high] "w"(high)
                     : "lr", "memory");
}

#else

/* The larger or the smaller of each of four bytes. */
EW_INLINE uint32_t pick4(uint32_t a, uint32_t b, int larger) {
#if defined(EW_DSP) && defined(__ARM_FEATURE_DSP)
    uint32_t x;
    if (larger)
        __asm__("ssub8 %0, %1, %2\n sel %0, %1, %2" : "=&r"(x) : "r"(a), "r"(b));
    else
        __asm__("ssub8 %0, %1, %2\n sel %0, %2, %1" : "=&r"(x) : "r"(a), "r"(b));
    return x;
#else
    uint32_t x = 0;
    for (int32_t i = 0; i < 32; i += 8) {
        int8_t one = (int8_t)(a >> i), two = (int8_t)(b >> i);
        x |= (uint32_t)(uint8_t)(larger == (one > two) ? one : two) << i;
    }
    return x;
#endif
}

EW_INLINE void pick_run(const int8_t *a, const int8_t *b, int8_t *out, int32_t count, int larger) {
#if defined(EW_DSP)
    for (; count >= 4; count -= 4, a += 4, b += 4, out += 4) {
        uint32_t one, two;
        memcpy(&one, a, 4);
        memcpy(&two, b, 4);
        one = pick4(one, two, larger);
        memcpy(out, &one, 4);
    }
#endif
    for (; count > 0; count--) {
        int32_t one = *a++, two = *b++;
        *out++ = (int8_t)(larger == (one > two) ? one : two);
    }
}

void ew_minimum(const ew_minimum_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    pick_run(a, b, out, p->count, 0);
}

void ew_maximum(const ew_maximum_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    pick_run(a, b, out, p->count, 1);
}

void ew_clamp8(const ew_clamp8_t *p, const int8_t *in, int8_t *out) {
    int32_t count = p->count;
#if defined(EW_DSP)
    uint32_t low = (uint8_t)p->low * 0x01010101u, high = (uint8_t)p->high * 0x01010101u, x;
    for (; count >= 4; count -= 4, in += 4, out += 4) {
        memcpy(&x, in, 4);
        x = pick4(pick4(x, low, 1), high, 0);
        memcpy(out, &x, 4);
    }
#endif
    for (; count > 0; count--) *out++ = (int8_t)ew_clamp(*in++, p->low, p->high);
}

#endif

static void run_minimum(const void *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    for (int8_t *end = out + ((const ew_minimum_t *)p)->count; out < end; b += step) *out++ = (int8_t)ew_min(*a++, *b);
}

static void run_maximum(const void *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t step) {
    for (int8_t *end = out + ((const ew_maximum_t *)p)->count; out < end; b += step) *out++ = (int8_t)ew_max(*a++, *b);
}

void ew_minimum_broadcast(const ew_minimum_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run_minimum, p, a, b, out);
}

void ew_maximum_broadcast(const ew_maximum_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *out) {
    ew_broadcast(p->shape, p->count, run_maximum, p, a, b, out);
}
