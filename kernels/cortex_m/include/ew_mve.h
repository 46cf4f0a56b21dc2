/* What the kernels for Armv8.1-M's vector extension (MVE, integer) share.
 *
 * Sums of products are VMLADAVA.S8: 16 products per instruction, added to a core register, so that weights and
 * activations stay bytes. Everything that is multiplied lies in memory as runs ("windows") of consecutive bytes;
 * lengths that are not a multiple of 16 end with tail predication: nothing is padded, nothing is read beyond a run
 * unless its comment says so.
 *
 * Requantization is exact for every input. For shifts below 0, three instructions do what ew_requantize does:
 *
 *     x = VQRDMULH(acc, multiplier)     ew_high_mul
 *     x = VQDMLAH(x, x, 1)              x + floor(2x / 2^32) = x - (x < 0)
 *     x = VRSHL(x, shift)               floor((x + 2^(-shift-1)) / 2^-shift)
 *
 * The two last ones round ties away from zero. (VQDMLAH saturates at INT32_MIN, where the shift gives the same.)
 */
#ifndef EW_MVE_H
#define EW_MVE_H

#include "ew_base.h"

#if defined(EW_MVE)
#include <arm_mve.h>


/* Of functions that are assembler alone: the compiler is not to conclude anything from their bodies. */
#if defined(__clang__)
#define EW_MVE_NAKED __attribute__((naked, noinline, used))
#else
#define EW_MVE_NAKED __attribute__((naked, noipa, used))
#endif

/* ew_requantize with one multiplier and shift for all lanes. */
EW_INLINE int32x4_t ew_mve_requantize_all(int32x4_t acc, int32_t multiplier, int32_t shift) {
    int32x4_t x = vqrdmulhq_n_s32(vshlq_r_s32(acc, ew_max(shift, 0)), multiplier);
    return vrshlq_n_s32(vqdmlahq_n_s32(x, x, shift < 0), ew_min(shift, 0));
}

/* ew_requantize with a multiplier and a shift per lane. */
EW_INLINE int32x4_t ew_mve_requantize(int32x4_t acc, int32x4_t multiplier, int32x4_t shift) {
    int32x4_t none = vdupq_n_s32(0), right = vminq_s32(shift, none);
    int32x4_t x = vqrdmulhq_s32(vshlq_s32(acc, vmaxq_s32(shift, none)), multiplier);
    int32x4_t down = vmulhq_s32(x, vnegq_s32(vmaxq_s32(right, vdupq_n_s32(-1)))); /* -1 where x < 0 and shift < 0 */
    return vrshlq_s32(vaddq_s32(x, down), right);
}

/* The requantized lanes as the bytes of an output, in the lowest byte of each lane. */
EW_INLINE int32x4_t ew_mve_narrow(int32x4_t x, int32_t zero) {
    x = vqaddq_n_s32(x, zero);
    return vmaxq_s32(vminq_s32(x, vdupq_n_s32(127)), vdupq_n_s32(-128));
}

/* Moves n bytes, 0 or more, from first to last; right for ranges that overlap when `to` <= `from`. */
EW_INLINE void ew_mve_copy(int8_t *to, const int8_t *from, int32_t n) {
    __asm volatile(
        "   wlstp.8  lr, %[n], 2f\n"
        "1: vldrb.8  q0, [%[from]], #16\n"
        "   vstrb.8  q0, [%[to]], #16\n"
        "   letp     lr, 1b\n"
        "2:\n"
        : [to] "+r"(to), [from] "+r"(from)
        : [n] "r"(n)
        : "q0", "lr", "memory");
}

/* Sets n bytes, 0 or more. */
EW_INLINE void ew_mve_fill(int8_t *to, int8_t value, int32_t n) {
    __asm volatile(
        "   vdup.8   q0, %[value]\n"
        "   wlstp.8  lr, %[n], 2f\n"
        "1: vstrb.8  q0, [%[to]], #16\n"
        "   letp     lr, 1b\n"
        "2:\n"
        : [to] "+r"(to)
        : [n] "r"(n), [value] "r"(value)
        : "q0", "lr", "memory");
}

/* Limits n bytes, 0 or more, to low..high, unless these are all that int8 has. */
EW_INLINE void ew_mve_limit(int8_t *x, int32_t n, int32_t low, int32_t high) {
    if (low == INT8_MIN && high == INT8_MAX) return;
    __asm volatile(
        "   vdup.8   q0, %[low]\n"
        "   vdup.8   q1, %[high]\n"
        "   wlstp.8  lr, %[n], 2f\n"
        "1: vldrb.8  q2, [%[x]]\n"
        "   vmax.s8  q2, q2, q0\n"
        "   vmin.s8  q2, q2, q1\n"
        "   vstrb.8  q2, [%[x]], #16\n"
        "   letp     lr, 1b\n"
        "2:\n"
        : [x] "+r"(x)
        : [n] "r"(n), [low] "r"(low), [high] "r"(high)
        : "q0", "q1", "q2", "lr", "memory");
}

/* A matrix product with requantization (ew_mve_product.c): each of `count` windows of `length` bytes, `step` bytes
 * from one to the next, with each of `channels` runs of weights, one after the other.
 *
 *     out[i * out_step + o] = saturate(requantize(bias[o] + sum weights[o * length + k] * in[i * step + k]) + out_zero)
 */
typedef struct {
    const int8_t *in;
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const int8_t *shift;
    int8_t *out;
    int32_t step, length, count;
    int32_t channels, out_step;
    int32_t out_zero;
} ew_mve_product_t;

/* Windows that are computed at a time, and the int32 sums that are kept meanwhile: four channels of them. */
#define EW_MVE_BLOCK 36
#define EW_MVE_SUMS (4 * EW_MVE_BLOCK)

/* sums: EW_MVE_SUMS, aligned to 4. count: any. Windows of a block are read until its last output was written. */
void ew_mve_product(const ew_mve_product_t *g, int32_t *sums);

#endif
#endif
