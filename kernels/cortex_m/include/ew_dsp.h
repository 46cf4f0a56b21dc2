/* The DSP extension of Armv7E-M and Armv8-M, one function per instruction, and what they compute in plain C for other
 * machines. A `pair` is a word of two signed 16-bit halves, the first in the low half.
 *
 * Words and halves are loaded from, and halves stored to, any address: CCR.UNALIGN_TRP must be 0, as it is at reset.
 */
#ifndef EW_DSP_H
#define EW_DSP_H

#include "ew_base.h"

#if defined(EW_DSP)

/* A word from any address, and a pair made of two values. */
EW_INLINE uint32_t ew_word(const void *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}
EW_INLINE uint32_t ew_pair(int32_t first, int32_t second) { return (uint32_t)(uint16_t)first | (uint32_t)second << 16; }

#if defined(__ARM_FEATURE_DSP)

/* Of functions that are assembler alone: the compiler is not to conclude anything from their bodies; and ADR counts from
 * multiples of 4, which are those of the linker only where the function starts at one. */
#if defined(__clang__)
#define EW_DSP_NAKED __attribute__((naked, noinline, used, aligned(4)))
#else
#define EW_DSP_NAKED __attribute__((naked, noipa, used, aligned(4)))
#endif

#define EW_DSP_2(name, result, text, A, B)                    \
    EW_INLINE result name(A a, B b) {                         \
        result to;                                            \
        __asm(text " %0, %1, %2" : "=r"(to) : "r"(a), "r"(b)); \
        return to;                                            \
    }
#define EW_DSP_3(name, text, A, B)                                            \
    EW_INLINE int32_t name(A a, B b, int32_t c) {                             \
        int32_t to;                                                           \
        __asm(text " %0, %1, %2, %3" : "=r"(to) : "r"(a), "r"(b), "r"(c));     \
        return to;                                                            \
    }

EW_DSP_2(ew_ssub16, uint32_t, "ssub16", uint32_t, uint32_t)
EW_DSP_2(ew_smuad, int32_t, "smuad", uint32_t, uint32_t)
EW_DSP_3(ew_smlad, "smlad", uint32_t, uint32_t)
EW_DSP_3(ew_smlabb, "smlabb", uint32_t, uint32_t)
EW_DSP_3(ew_smmlar, "smmlar", int32_t, int32_t)

EW_INLINE uint32_t ew_even_bytes(uint32_t word) {
    uint32_t to;
    __asm("sxtb16 %0, %1" : "=r"(to) : "r"(word));
    return to;
}
EW_INLINE uint32_t ew_odd_bytes(uint32_t word) {
    uint32_t to;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(to) : "r"(word));
    return to;
}
EW_INLINE int32_t ew_saturate8_half(int32_t x) {
    int32_t to;
    __asm("ssat %0, #8, %1, asr #1" : "=r"(to) : "r"(x) : "cc");
    return to;
}

#else

EW_INLINE int32_t ew_low(uint32_t pair) { return (int16_t)(pair & 0xFFFF); }
EW_INLINE int32_t ew_high(uint32_t pair) { return (int16_t)(pair >> 16); }

/* Both differences, modulo 2^16. */
EW_INLINE uint32_t ew_ssub16(uint32_t a, uint32_t b) { return ew_pair(ew_low(a) - ew_low(b), ew_high(a) - ew_high(b)); }

/* low(a) low(b) + high(a) high(b), and added to c: modulo 2^32. */
EW_INLINE int32_t ew_smuad(uint32_t a, uint32_t b) {
    return ew_add32(ew_low(a) * ew_low(b), ew_high(a) * ew_high(b));
}
EW_INLINE int32_t ew_smlad(uint32_t a, uint32_t b, int32_t c) { return ew_add32(c, ew_smuad(a, b)); }

/* low(a) low(b) + c, modulo 2^32. */
EW_INLINE int32_t ew_smlabb(uint32_t a, uint32_t b, int32_t c) { return ew_add32(c, ew_low(a) * ew_low(b)); }

/* c + ab / 2^32, rounded to nearest, ties upwards; modulo 2^32. */
EW_INLINE int32_t ew_smmlar(int32_t a, int32_t b, int32_t c) {
    return ew_add32(c, (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32));
}

/* Bytes 0 and 2, bytes 1 and 3 of a word, as pairs. */
EW_INLINE uint32_t ew_even_bytes(uint32_t word) { return ew_pair((int8_t)word, (int8_t)(word >> 16)); }
EW_INLINE uint32_t ew_odd_bytes(uint32_t word) { return ew_even_bytes(word >> 8); }

/* x / 2, rounded down, limited to -128..127. */
EW_INLINE int32_t ew_saturate8_half(int32_t x) { return ew_clamp(x >> 1, -128, 127); }

#endif

/* How constants are packed for the DSP variant, per output channel (targets/tflite_micro/ops/pack_dsp.py):
 *
 *     step >= 0  quick: the bias is doubled, step = -1 - shift, 0 to 20; |2 acc| < 2^31 was proven of the weights
 *     step < 0   slow: the bias as it is, shift = step + 64
 *
 * `zero` is 2 out_zero + 1. Both give clamp8(requantize(bias + sum) + out_zero), bit for bit: the rounding
 * 2^step and the zero point enter in one addition, and a sum below 0 that rounds to 0 takes 1 from 2^step without effect.
 */
EW_INLINE int32_t ew_dsp_quick(int32_t twice, int32_t multiplier, int32_t step, int32_t start) {
    return ew_saturate8_half(ew_smmlar(twice, multiplier, ew_add32(start, twice >> 31)) >> step);
}

/* Either way. */
int32_t ew_dsp_finish(int32_t sum, const int32_t *bias_multiplier, int32_t step, int32_t zero);

#endif
#endif
