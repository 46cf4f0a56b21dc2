#include "ew_dsp.h"
#include "ew_limit.h"
#include "ew_lines.h"

#if defined(EW_DSP)

#if defined(__ARM_FEATURE_DSP)

/* The first `fours` times four channels of every pixel of `x`, from `from` on, `four` bytes from one four to the next.
 * ew_pixels_t: 4 from_step, 8 to, 12 to_step, 16 apart, 20 count. */
EW_DSP_NAKED static void scatter(const ew_pixels_t *x __attribute__((unused)), const int8_t *from __attribute__((unused)),
                                 int32_t four __attribute__((unused)), int32_t fours __attribute__((unused))) {
    __asm volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "ldrd r4, r5, [r0, #8]\n"
        "ldrd r6, r7, [r0, #16]\n"
        "ldr r0, [r0, #4]\n"
        "add r8, r6, r6, lsl #1\n"
        "1:\n"
        "mov r9, r4\n"
        "mov r10, r1\n"
        "mov r11, r3\n"
        "2:\n"
        "ldr r12, [r10]\n"
        "add r10, r2\n"
        "sxtb lr, r12\n"
        "strh lr, [r9]\n"
        "sbfx lr, r12, #8, #8\n"
        "strh lr, [r9, r6]\n"
        "sbfx lr, r12, #16, #8\n"
        "strh lr, [r9, r6, lsl #1]\n"
        "asr r12, r12, #24\n"
        "strh r12, [r9, r8]\n"
        "add r9, r9, r6, lsl #2\n"
        "subs r11, #1\n"
        "bne 2b\n"
        "add r4, r5\n"
        "add r1, r0\n"
        "subs r7, #1\n"
        "bne 1b\n"
        "pop {r4-r11, pc}\n");
}

#else

static void scatter(const ew_pixels_t *x, const int8_t *from, int32_t four, int32_t fours) {
    for (int32_t n = 0; n < x->count; n++, from += x->from_step) {
        for (int32_t c = 0; c < 4 * fours; c++) {
            *(int16_t *)(x->to + n * x->to_step + c * x->apart) = from[c / 4 * four + c % 4];
        }
    }
}

#endif

void ew_scatter(const ew_conv_t *p, const ew_pixels_t *x) {
    uint32_t fill = (uint8_t)p->in_zero * 0x01010101u;
    const int8_t *from = x->from ? x->from : (const int8_t *)&fill;
    int32_t fours = p->in_c / 4;
    if (fours) scatter(x, from, x->from ? 4 : 0, fours);
    for (int32_t c = 4 * fours; c < p->in_c; c++) {
        int8_t *to = x->to + c * x->apart;
        const int8_t *value = x->from ? from + c : from;
        for (int32_t n = x->count; n > 0; n--, to += x->to_step, value += x->from_step) *(int16_t *)to = *value;
    }
}

/* Channels whose planes lie `apart` bytes from each other, 0 for one plane. The order of the members is known to the assembly
 * below, which changes the first five. */
typedef struct {
    const int16_t *window;
    const int8_t *weights;
    const int32_t *bias;
    const int8_t *shift;
    int8_t *out;
    int32_t apart;
    int32_t channels;
    int32_t zero;
    int32_t out_step;
    int32_t span; /* bytes from the first window to behind the last one */
    int32_t entry; /* into the loops below: 2 for strides of two pixels, and 1 for an odd number of windows */
} run_t;

#if defined(__ARM_FEATURE_DSP)

/* One output of 3x3 taps; r11 window, r2, r3, r6, r7, r8 doubled weights, r9 bias, r10 multiplier, r12 step, r1 start, lr out,
 * r4 out_step. */
#define EW_OUTPUT(step)                 \
    "ldr r5, [r11], #" #step "\n"       \
    "smlad r0, r5, r2, r9\n"            \
    "ldr r5, [r11, #4-" #step "]\n"     \
    "smlad r0, r5, r3, r0\n"            \
    "ldr r5, [r11, #8-" #step "]\n"     \
    "smlad r0, r5, r6, r0\n"            \
    "ldr r5, [r11, #12-" #step "]\n"    \
    "smlad r0, r5, r7, r0\n"            \
    "ldrh r5, [r11, #16-" #step "]\n"   \
    "smlabb r0, r5, r8, r0\n"           \
    "add r5, r1, r0, asr #31\n"         \
    "smmlar r0, r0, r10, r5\n"          \
    "asr r0, r0, r12\n"                 \
    "ssat r0, #8, r0, asr #1\n"         \
    "strb r0, [lr]\n"                   \
    "add lr, r4\n"
#define EW_OUTPUTS(label, half, step)   \
    label ":\n"                         \
    EW_OUTPUT(step)                     \
    half ":\n"                          \
    EW_OUTPUT(step)                     \
    "ldr r5, [sp, #4]\n"                \
    "cmp r11, r5\n"                     \
    "bne " label "b\n"

/* 3x3 taps, up to the first channel that is not quick. gcc 12 keeps a third of the operands on the stack.
 *
 * Frame: 0 run_t, 4 the end of the windows, 8 the entry. run_t: 20 apart, 24 channels, 28 zero, 32 out_step, 36 span, 40 entry. */
EW_DSP_NAKED static void nine(run_t *run __attribute__((unused))) {
    __asm volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "sub sp, #12\n"
        "str r0, [sp]\n"
        "ldr r1, [r0, #40]\n"
        "adr.w r2, 1f\n"
        "tst r1, #2\n"
        "beq 11f\n"
        "adr.w r2, 2f\n"
        "11:\n"
        "tst r1, #1\n"
        "beq 12f\n"
        "adds r2, #5f-1f\n"
        "12:\n"
        "orr r2, #1\n"
        "str r2, [sp, #8]\n"

        "0:\n"
        "ldm r0, {r1-r5}\n"
        "ldrsb r12, [r4], #1\n"
        "cmp r12, #0\n"
        "blt 9f\n"
        "ldrd r9, r10, [r3], #8\n"
        "ldr r6, [r2], #4\n"
        "ldr r7, [r2], #4\n"
        "ldrsb r8, [r2], #1\n"
        "ldr lr, [r0, #20]\n"
        "mov r11, r1\n"
        "add r1, lr\n"
        "mov lr, r5\n"
        "adds r5, #1\n"
        "stm r0, {r1-r5}\n"
        "sxtb16 r2, r6\n"
        "sxtb16 r3, r6, ror #8\n"
        "sxtb16 r6, r7\n"
        "sxtb16 r7, r7, ror #8\n"
        "sadd16 r2, r2, r2\n"
        "sadd16 r3, r3, r3\n"
        "sadd16 r6, r6, r6\n"
        "sadd16 r7, r7, r7\n"
        "lsl r8, r8, #1\n"
        "ldrd r1, r4, [r0, #28]\n"
        "lsl r1, r1, r12\n"
        "ldr r5, [r0, #36]\n"
        "add r5, r11\n"
        "str r5, [sp, #4]\n"
        "ldr pc, [sp, #8]\n"
        EW_OUTPUTS("1", "5", 6)
        "b 4f\n"
        EW_OUTPUTS("2", "6", 12)
        "4:\n"
        "ldr r0, [sp]\n"
        "ldr r1, [r0, #24]\n"
        "subs r1, #1\n"
        "str r1, [r0, #24]\n"
        "bne 0b\n"
        "9:\n"
        "add sp, #12\n"
        "pop {r4-r11, pc}\n");
}

#else

static void nine(run_t *run) {
    for (; run->channels > 0 && *run->shift >= 0; run->channels--) {
        int32_t step = *run->shift++, start = (int32_t)((uint32_t)run->zero << step);
        const int16_t *end = run->window + run->span / 2, *x = run->window;
        uint32_t low = ew_word(run->weights), high = ew_word(run->weights + 4);
        int8_t *out = run->out++;
        for (; x < end; x += run->entry & 2 ? 6 : 3, out += run->out_step) {
            int32_t sum = ew_smlad(ew_word(x + 2), ew_odd_bytes(low), ew_smuad(ew_word(x), ew_even_bytes(low)));
            sum = ew_smlad(ew_word(x + 6), ew_odd_bytes(high), ew_smlad(ew_word(x + 4), ew_even_bytes(high), sum));
            int32_t twice = run->bias[0] + 2 * (sum + run->weights[8] * x[8]);
            *out = (int8_t)ew_dsp_quick(twice, run->bias[1], step, start);
        }
        run->weights += 9, run->bias += 2, run->window += run->apart / 2;
    }
}

#endif

/* One channel with any number of taps, two windows at a time; its weights are widened to `pairs` first. */
__attribute__((noinline)) static void any(const run_t *run, const ew_windows_t *w, int32_t taps) {
    const int8_t *weight = run->weights;
    uint32_t *pairs = w->scratch, *end = pairs;
    for (int32_t i = taps; i >= 4; i -= 4, weight += 4) {
        uint32_t word = ew_word(weight);
        *end++ = ew_even_bytes(word), *end++ = ew_odd_bytes(word);
    }
    if (taps & 2) *end++ = ew_pair(weight[0], weight[1]), weight += 2;
    const int8_t *window = (const int8_t *)run->window;
    int8_t *out = run->out;
    for (int32_t n = w->count; n > 0; n -= 2, window += 2 * w->step, out += 2 * w->out_step) {
        int32_t both = n > 1, a = 0, b = 0;
        const int16_t *x = (const int16_t *)window, *y = (const int16_t *)(window + both * w->step);
        for (const uint32_t *pair = pairs; pair < end; x += 2, y += 2) {
            uint32_t values = *pair++;
            a = ew_smlad(ew_word(x), values, a);
            b = ew_smlad(ew_word(y), values, b);
        }
        if (taps & 1) a = ew_add32(a, *x * *weight), b = ew_add32(b, *y * *weight);
        *out = (int8_t)ew_dsp_finish(a, run->bias, *run->shift, run->zero);
        out[both * w->out_step] = (int8_t)ew_dsp_finish(b, run->bias, *run->shift, run->zero);
    }
}

void ew_lines(const ew_conv_t *p, const ew_windows_t *w) {
    int32_t taps = p->kernel_h * p->kernel_w, per = p->out_c / p->in_c, step = w->step;
    int32_t fast = taps == 9 && (step == 6 || step == 12);
    run_t run = {(const int16_t *)w->window, p->weights, p->bias, p->shift, w->out, per == 1 ? w->apart : 0, 0,
                 2 * p->out_zero + 1, w->out_step, w->count * step, (step == 12 ? 2 : 0) + (w->count & 1)};
    int32_t together = per == 1 ? p->out_c : per; /* channels that one `run` can go through */
    for (int32_t left = p->out_c; left > 0; left -= together, run.window += per == 1 ? 0 : w->apart / 2) {
        run.channels = together;
        while (run.channels > 0) {
            if (fast) nine(&run);
            if (run.channels == 0) break;
            any(&run, w, taps);
            run.window += run.apart / 2, run.weights += taps, run.bias += 2, run.shift++, run.out++, run.channels--;
        }
    }
    for (int32_t n = 0; n < w->count; n++) ew_limit(w->out + n * w->out_step, p->out_c, p->act_min, p->act_max);
}

#endif
