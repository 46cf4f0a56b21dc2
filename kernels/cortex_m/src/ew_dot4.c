#include "ew_dot4.h"

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
