#include "ew_dot4.h"

#if defined(EW_DSP)
#include "ew_dsp.h"

const int8_t *ew_dot4(const int8_t *w, const int8_t *x, int32_t n, int32_t *acc) {
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (; n > 0; n -= 4, w += 16, x += 4) {
        uint32_t v = ew_word(x), even = ew_even_bytes(v), odd = ew_odd_bytes(v), u;
        u = ew_word(w), a = ew_smlad(ew_even_bytes(u), even, a), a = ew_smlad(ew_odd_bytes(u), odd, a);
        u = ew_word(w + 4), b = ew_smlad(ew_even_bytes(u), even, b), b = ew_smlad(ew_odd_bytes(u), odd, b);
        u = ew_word(w + 8), c = ew_smlad(ew_even_bytes(u), even, c), c = ew_smlad(ew_odd_bytes(u), odd, c);
        u = ew_word(w + 12), d = ew_smlad(ew_even_bytes(u), even, d), d = ew_smlad(ew_odd_bytes(u), odd, d);
    }
    acc[0] = a, acc[1] = b, acc[2] = c, acc[3] = d;
    return w;
}

#elif defined(EW_MVE)

const int8_t *ew_dot4(const int8_t *w, const int8_t *x, int32_t n, int32_t *acc) {
    const int8_t *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n, *behind = w3 + n;
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    __asm volatile(
        "   wlstp.8  lr, %[n], 2f\n"
        "1: vldrb.8  q0, [%[x]], #16\n"
        "   vldrb.8  q1, [%[w]], #16\n"
        "   vmladava.s8 %[a], q0, q1\n"
        "   vldrb.8  q2, [%[w1]], #16\n"
        "   vmladava.s8 %[b], q0, q2\n"
        "   vldrb.8  q1, [%[w2]], #16\n"
        "   vmladava.s8 %[c], q0, q1\n"
        "   vldrb.8  q2, [%[w3]], #16\n"
        "   vmladava.s8 %[d], q0, q2\n"
        "   letp     lr, 1b\n"
        "2:\n"
        : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d),
          [x] "+l"(x), [w] "+r"(w), [w1] "+r"(w1), [w2] "+r"(w2), [w3] "+r"(w3)
        : [n] "r"(n)
        : "q0", "q1", "q2", "lr", "memory");
    acc[0] = a, acc[1] = b, acc[2] = c, acc[3] = d;
    return behind;
}

#else

const int8_t *ew_dot4(const int8_t *w, const int8_t *x, int32_t n, int32_t *acc) {
    const int8_t *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n;
    uint32_t a = (uint32_t)acc[0], b = (uint32_t)acc[1], c = (uint32_t)acc[2], d = (uint32_t)acc[3];
    for (; n > 0; n--) {
        int32_t v = *x++;
        a += (uint32_t)(v * *w++);
        b += (uint32_t)(v * *w1++);
        c += (uint32_t)(v * *w2++);
        d += (uint32_t)(v * *w3++);
    }
    acc[0] = (int32_t)a, acc[1] = (int32_t)b, acc[2] = (int32_t)c, acc[3] = (int32_t)d;
    return w3;
}

#endif
