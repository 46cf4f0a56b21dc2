#include "ew_dot.h"
#include "ew_dsp.h"

#if defined(EW_DSP)

#if defined(__ARM_FEATURE_DSP)

/* Adds two pairs of channels times `groups` times four values of one window; 127 groups at most, so that the difference of the
 * two sums that a pair has on the way stays below 2^31. */
EW_DSP_NAKED static void dot(const int8_t *x __attribute__((unused)), const int8_t *w __attribute__((unused)),
                             const int8_t *w1 __attribute__((unused)), int32_t groups __attribute__((unused)),
                             int32_t *sums __attribute__((unused))) {
#define EW_PAIR(w, first, both)             \
    "ldrd r10, r11, [" w "], #8\n"          \
    "sxtb16 r12, r10\n"                     \
    "smlad " first ", r12, r8, " first "\n" \
    "smlad " both ", r10, r8, " both "\n"   \
    "sxtb16 r12, r11\n"                     \
    "smlad " first ", r12, r9, " first "\n" \
    "smlad " both ", r11, r9, " both "\n"
#define EW_GROUP              \
    "ldr r9, [r0], #4\n"      \
    "sxtb16 r8, r9\n"         \
    "sxtb16 r9, r9, ror #8\n" \
    EW_PAIR("r1", "r4", "r5") EW_PAIR("r2", "r6", "r7")
    __asm volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "movs r4, #0\n"
        "movs r5, #0\n"
        "movs r6, #0\n"
        "movs r7, #0\n"
        "tst r3, #1\n"
        "add r3, r0, r3, lsl #2\n"
        "bne 2f\n"
        "1:\n"
        EW_GROUP
        "2:\n"
        EW_GROUP
        "cmp r0, r3\n"
        "bne 1b\n"
        "sub r5, r5, r4\n"
        "sub r7, r7, r6\n"
        "ldr r0, [sp, #36]\n"
        "ldm r0, {r8-r11}\n"
        "add r4, r4, r8\n"
        "add r5, r9, r5, asr #8\n"
        "add r6, r6, r10\n"
        "add r7, r11, r7, asr #8\n"
        "stm r0, {r4-r7}\n"
        "pop {r4-r11, pc}\n");
}

#else

static void dot(const int8_t *x, const int8_t *w, const int8_t *w1, int32_t groups, int32_t *sums) {
    int32_t parts[4] = {0};
    for (; groups > 0; groups--, x += 4, w += 8, w1 += 8) {
        for (int32_t i = 0; i < 4; i++) {
            uint32_t word = ew_word((i < 2 ? w : w1) + i % 2 * 4), values = ew_word(x);
            int32_t *part = parts + i / 2 * 2;
            values = i % 2 ? ew_odd_bytes(values) : ew_even_bytes(values);
            part[0] = ew_smlad(values, ew_even_bytes(word), part[0]);
            part[1] = ew_smlad(values, word, part[1]);
        }
    }
    for (int32_t i = 0; i < 4; i += 2) {
        sums[i] = ew_add32(sums[i], parts[i]);
        sums[i + 1] = ew_add32(sums[i + 1], (int32_t)((uint32_t)parts[i + 1] - (uint32_t)parts[i]) >> 8);
    }
}

#endif

/* One value times the weights of a pair of channels. */
static void value(int32_t x, const int8_t *w, int32_t wide, int32_t *sums) {
    sums[0] = ew_add32(sums[0], x * w[0]);
    sums[1] = ew_add32(sums[1], x * (w[1] + (!wide && w[0] < 0)));
}

/* One pair, whatever the weights. */
static void two(const int8_t *x, const int8_t *w, int32_t groups, int32_t wide, int32_t *sums) {
    int32_t first = sums[0], second = sums[1];
    for (; groups > 0; groups--, x += 4, w += 8) {
        uint32_t values = ew_word(x), low = ew_even_bytes(values), high = ew_odd_bytes(values);
        uint32_t w0 = ew_word(w), w1 = ew_word(w + 4), a0 = ew_even_bytes(w0), a1 = ew_even_bytes(w1);
        first = ew_smlad(high, a1, ew_smlad(low, a0, first));
        if (!wide) w0 = ew_ssub16(w0, a0), w1 = ew_ssub16(w1, a1);
        second = ew_smlad(high, ew_odd_bytes(w1), ew_smlad(low, ew_odd_bytes(w0), second));
    }
    sums[0] = first, sums[1] = second;
}

/* The last, odd channel. */
static int32_t single(const int8_t *x, const int8_t *w, int32_t depth) {
    int32_t sum = 0;
    for (; depth >= 4; depth -= 4, x += 4, w += 4) {
        uint32_t values = ew_word(x), weights = ew_word(w);
        sum = ew_smlad(ew_even_bytes(values), ew_even_bytes(weights), sum);
        sum = ew_smlad(ew_odd_bytes(values), ew_odd_bytes(weights), sum);
    }
    for (; depth > 0; depth--) sum = ew_add32(sum, *x++ * *w++);
    return sum;
}

int32_t ew_dot(const int8_t *x, const int8_t *w, int32_t depth, int32_t channels, int32_t wide, int32_t *sums) {
    int32_t fast = depth % 2 == 0 && (uintptr_t)w % 4 == 0 && !wide, groups = depth / 4;
    int32_t next = fast && channels >= 4 ? 2 * depth : 0; /* 0: one pair, twice */
    sums[0] = 0, sums[1] = 0, sums[2] = 0, sums[3] = 0;
    if (channels == 1) {
        sums[0] = single(x, w, depth);
        return 1;
    }
    if (depth & 1) value(*x++, w, wide, sums), w += 2;
    if (fast) {
        for (int32_t now; groups > 0; groups -= now, x += 4 * now, w += 8 * now) {
            now = ew_min(groups, 127);
            dot(x, w, w + next, now, sums);
        }
    } else {
        two(x, w, groups, wide, sums);
        x += 4 * groups, w += 8 * groups;
    }
    for (int32_t i = 0; i < (depth & 2); i++, w += 2) {
        value(x[i], w, wide, sums);
        value(x[i], w + next, wide, sums + 2);
    }
    return next ? 4 : 2;
}

#endif
