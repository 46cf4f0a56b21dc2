/* memcpy, memmove and memset, as small as they can be and still move words: 16 bytes at a time, on cores with vectors one
 * vector. All of them take any alignment. In assembly, because compilers make four times as many instructions of it.
 */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

#if defined(__ARM_FEATURE_MVE)

static void *copy(void *to, const void *from, size_t bytes) {
    void *target = to;
    __asm volatile(
        "wlstp.8 lr, %2, 2f\n"
        "1: vldrb.u8 q0, [%1], #16\n"
        "vstrb.8 q0, [%0], #16\n"
        "letp lr, 1b\n"
        "2:\n"
        : "+r"(target), "+r"(from)
        : "r"(bytes)
        : "q0", "lr", "cc", "memory");
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    void *target = to;
    __asm volatile(
        "vdup.8 q0, %1\n"
        "wlstp.8 lr, %2, 2f\n"
        "1: vstrb.8 q0, [%0], #16\n"
        "letp lr, 1b\n"
        "2:\n"
        : "+r"(target)
        : "r"(value), "r"(bytes)
        : "q0", "lr", "cc", "memory");
    return to;
}

#else

/* Upwards; what lies above is never written before it is read. */
static void *copy(void *to, const void *from, size_t bytes) {
    void *target = to;
    uint32_t a = (uint32_t)to | (uint32_t)from, b;
    __asm volatile(
        "   subs %2, #16\n"
        "   blo 4f\n"
        "   lsls %3, %3, #30\n"
        "   bne 2f\n"
        "1: ldmia %1!, {r4-r7}\n" /* both aligned */
        "   subs %2, #16\n"
        "   stmia %0!, {r4-r7}\n"
        "   bhs 1b\n"
        "   b 4f\n"
        "2: mov r5, #2\n"
        "3: ldr %3, [%1], #4\n"
        "   ldr %4, [%1], #4\n"
        "   subs r5, #1\n"
        "   str %3, [%0], #4\n"
        "   str %4, [%0], #4\n"
        "   bne 3b\n"
        "   subs %2, #16\n"
        "   bhs 2b\n"
        "4: adds %2, #16\n"
        "   beq 6f\n"
        "5: ldrb %3, [%1], #1\n"
        "   subs %2, #1\n"
        "   strb %3, [%0], #1\n"
        "   bne 5b\n"
        "6:\n"
        : "+l"(target), "+l"(from), "+l"(bytes), "+l"(a), "=&r"(b)
        :
        : "r4", "r5", "r6", "r7", "cc", "memory");
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    void *target = to;
    __asm volatile(
        "   subs %1, #8\n"
        "   blo 2f\n"
        "1: str %2, [%0], #4\n"
        "   subs %1, #8\n"
        "   str %2, [%0], #4\n"
        "   bhs 1b\n"
        "2: adds %1, #8\n"
        "   beq 4f\n"
        "3: strb %2, [%0], #1\n"
        "   subs %1, #1\n"
        "   bne 3b\n"
        "4:\n"
        : "+l"(target), "+l"(bytes)
        : "l"((uint8_t)value * 0x01010101u)
        : "cc", "memory");
    return to;
}

#endif

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) { return copy(to, from, bytes); }

/* Upwards, where each block is read before it is written, unless that would run over what is still to be read. */
void *memmove(void *to, const void *from, size_t bytes) {
    if ((uintptr_t)to - (uintptr_t)from >= bytes) return copy(to, from, bytes);
    uint8_t *target = (uint8_t *)to + bytes;
    const uint8_t *source = (const uint8_t *)from + bytes;
    for (; bytes > 0; bytes--) *--target = *--source;
    return to;
}
