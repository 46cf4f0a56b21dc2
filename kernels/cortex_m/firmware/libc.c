/* memcpy, memmove and memset, as small as they can be and still move words: 16 bytes at a time, on cores with vectors one
 * vector. All of them take any alignment.
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

typedef struct __attribute__((packed, may_alias)) {
    uint32_t a, b, c, d;
} block_t;

static void *copy(void *to, const void *from, size_t bytes) {
    uint8_t *target = to;
    const uint8_t *source = from;
    for (; bytes >= sizeof(block_t); bytes -= sizeof(block_t)) {
        block_t block = *(const block_t *)source;
        *(block_t *)target = block;
        target += sizeof(block_t);
        source += sizeof(block_t);
    }
    for (; bytes > 0; bytes--) *target++ = *source++;
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    uint8_t *target = to;
    uint32_t word = (uint8_t)value * 0x01010101u;
    for (; bytes >= sizeof(block_t); bytes -= sizeof(block_t)) {
        *(block_t *)target = (block_t){word, word, word, word};
        target += sizeof(block_t);
    }
    for (; bytes > 0; bytes--) *target++ = (uint8_t)value;
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
