#include "ew_lut.h"

#if defined(EW_MVE)
#include <arm_mve.h>
#endif

void ew_lut(const ew_lut_t *p, const void *in, void *out) {
    const uint8_t *from = in;
    int8_t *to = out;
#if defined(EW_MVE)
    uint8x16_t x, y;
    __asm__ volatile("dlstp.8 lr, %[n]\n"
                     "1:\n"
                     "vldrb.8 %q[x], [%[from]], #16\n"
                     "vldrb.u8 %q[y], [%[table], %q[x]]\n"
                     "vstrb.8 %q[y], [%[to]], #16\n"
                     "letp lr, 1b"
                     : [from] "+r"(from), [to] "+r"(to), [x] "=&w"(x), [y] "=&w"(y)
                     : [n] "r"(p->count), [table] "r"(p->table)
                     : "lr", "memory");
#else
    const int8_t *table = p->table;
    for (int8_t *end = to + p->count; to < end;) *to++ = table[*from++];
#endif
}
