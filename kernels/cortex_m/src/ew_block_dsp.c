#include "ew_block.h"
#include "ew_dot.h"
#include "ew_dsp.h"
#include "ew_limit.h"

#if defined(EW_DSP)

/* Four windows times all pairs of channels. The order of the members is known to the assembly below. */
typedef struct {
    const uint32_t *columns; /* the windows, widened to pairs: for each pair of values four words */
    const int8_t *weights;
    const int32_t *bias;
    const int8_t *shift;
    int8_t *out;
    int32_t out_step;
    int32_t pairs; /* of channels */
    int32_t zero;
    const uint32_t *end; /* of the columns */
    int32_t skip;        /* steps of the unrolled loop that the first turn leaves out */
    int32_t odd, wide;
} four_t;

/* For ew_block_four only. */
void ew_block_any(const int32_t *sums, const four_t *f);

/* A pair of channels that is not quick: sums of the first channel for four windows, of the second. */
void ew_block_any(const int32_t *sums, const four_t *f) {
    for (int32_t i = 0; i < 8; i++) {
        int32_t o = i / 4;
        f->out[i % 4 * f->out_step + o] = (int8_t)ew_dsp_finish(sums[i], f->bias + 2 * o, f->shift[o], f->zero);
    }
}

#if defined(__ARM_FEATURE_DSP)

/* One step: a pair of values of four windows times two channels. r0 columns, r1 weights, r4-r7 sums of the first
 * channel, r8-r11 of both. */
#define EW_STEP(width)           \
    "ldr r12, [r1], #" width "\n" \
    "ldm r0!, {r2, r3}\n"        \
    "sxtb16 lr, r12\n"           \
    EW_PRODUCTS
#define EW_PRODUCTS              \
    "smlad r4, lr, r2, r4\n"     \
    "smlad r8, r12, r2, r8\n"    \
    "smlad r5, lr, r3, r5\n"     \
    "smlad r9, r12, r3, r9\n"    \
    "ldm r0!, {r2, r3}\n"        \
    "smlad r6, lr, r2, r6\n"     \
    "smlad r10, r12, r2, r10\n"  \
    "smlad r7, lr, r3, r7\n"     \
    "smlad r11, r12, r3, r11\n"
/* One output: r12 step, lr start, r3 multiplier. */
#define EW_FINISH(sum)                \
    "add r2, lr, " sum ", asr #31\n"  \
    "smmlar " sum ", " sum ", r3, r2\n" \
    "asr " sum ", " sum ", r12\n"     \
    "ssat " sum ", #8, " sum ", asr #1\n"

/* gcc 12 cannot keep eight sums, two addresses and four operands in the fourteen registers there are.
 *
 * Frame: 0 eight zeros, 32 four_t (32 columns, 36 weights, 40 bias, 44 shift, 48 out, 52 out_step, 56 pairs, 60 zero,
 * 64 end), 68 where the products start, 72 where they go on after an odd value, 76 eight sums.
 * Until the sums of the second channel are used, EQ says that they are the difference of both sums, NE that they are doubled.
 */
EW_DSP_NAKED static void ew_block_four(const four_t *f __attribute__((unused))) {
    __asm volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "sub sp, #108\n"
        "add r12, sp, #32\n"
        "ldm r0!, {r1-r6}\n"
        "stm r12!, {r1-r6}\n"
        "ldm r0, {r1-r6}\n" /* pairs, zero, end, skip, odd, wide */
        "stm r12!, {r1-r3}\n"
        "adr.w r7, 1f\n"
        "movs r0, #2f-1f\n"
        "mla r7, r0, r4, r7\n"
        "orr r7, #1\n"
        "str r7, [sp, #72]\n"
        "cbz r5, 11f\n"
        "adr.w r7, 3f\n"
        "orr r7, #1\n"
        "11:\n"
        "cbz r6, 12f\n"
        "adr.w r7, 4f\n"
        "orr r7, #1\n"
        "12:\n"
        "str r7, [sp, #68]\n"
        "movs r0, #0\n"
        "movs r1, #0\n"
        "strd r0, r1, [sp]\n"
        "strd r0, r1, [sp, #8]\n"
        "strd r0, r1, [sp, #16]\n"
        "strd r0, r1, [sp, #24]\n"

        "0:\n" /* a pair of channels */
        "ldrd r0, r1, [sp, #32]\n"
        "ldm sp, {r4-r11}\n"
        "ldr pc, [sp, #68]\n"
        "3:\n" /* the odd value, its other half zero */
        EW_STEP("2")
        "ldr pc, [sp, #72]\n"
        "1:\n"
        EW_STEP("4")
        "2:\n"
        EW_STEP("4") EW_STEP("4") EW_STEP("4") EW_STEP("4") EW_STEP("4") EW_STEP("4") EW_STEP("4")
        "ldr r2, [sp, #64]\n"
        "cmp r0, r2\n"
        "bne 1b\n"
        "sub r8, r8, r4\n"
        "sub r9, r9, r5\n"
        "sub r10, r10, r6\n"
        "sub r11, r11, r7\n"

        "5:\n" /* constants of the first channel */
        "str r1, [sp, #36]\n"
        "ldrd r0, r1, [sp, #40]\n"
        "ldrsh r12, [r1], #2\n" /* both steps */
        "and r2, r12, #0x80808080\n"
        "cbz r2, 13f\n"
        "b 6f\n"
        "13:\n"
        "ldrd r2, r3, [r0], #8\n"
        "ldr lr, [sp, #60]\n"
        "lsl lr, lr, r12\n"
        "add r4, r2, r4, lsl #1\n"
        "add r5, r2, r5, lsl #1\n"
        "add r6, r2, r6, lsl #1\n"
        "add r7, r2, r7, lsl #1\n"
        EW_FINISH("r4") EW_FINISH("r5") EW_FINISH("r6") EW_FINISH("r7")
        "ldrd r2, r3, [r0], #8\n" /* of the second */
        "ldr lr, [sp, #60]\n"
        "lsr r12, r12, #8\n"
        "lsl lr, lr, r12\n"
        "bne 7f\n"
        "add r8, r2, r8, asr #7\n"
        "add r9, r2, r9, asr #7\n"
        "add r10, r2, r10, asr #7\n"
        "add r11, r2, r11, asr #7\n"
        "8:\n"
        EW_FINISH("r8") EW_FINISH("r9") EW_FINISH("r10") EW_FINISH("r11")
        "strd r0, r1, [sp, #40]\n"
        "ldrd r0, r1, [sp, #48]\n"
        "bfi r4, r8, #8, #8\n"
        "bfi r5, r9, #8, #8\n"
        "bfi r6, r10, #8, #8\n"
        "bfi r7, r11, #8, #8\n"
        "strh r4, [r0]\n"
        "strh r5, [r0, r1]\n"
        "strh r6, [r0, r1, lsl #1]\n"
        "add r1, r1, r1, lsl #1\n"
        "strh r7, [r0, r1]\n"
        "9:\n"
        "ldr r2, [sp, #56]\n"
        "adds r0, #2\n"
        "str r0, [sp, #48]\n"
        "subs r2, #1\n"
        "str r2, [sp, #56]\n"
        "bne 0b\n"
        "add sp, #108\n"
        "pop {r4-r11, pc}\n"

        "4:\n" /* wide products, an even number of values */
        "ldr r12, [r1], #4\n"
        "ldm r0!, {r2, r3}\n"
        "sxtb16 lr, r12\n"
        "sxtb16 r12, r12, ror #8\n"
        EW_PRODUCTS
        "ldr r2, [sp, #64]\n"
        "cmp r0, r2\n"
        "bne 4b\n"
        "lsl r8, r8, #1\n"
        "lsl r9, r9, #1\n"
        "lsl r10, r10, #1\n"
        "lsl r11, r11, #1\n"
        "movs r2, #1\n" /* NE */
        "b 5b\n"
        "7:\n"
        "add r8, r2, r8\n"
        "add r9, r2, r9\n"
        "add r10, r2, r10\n"
        "add r11, r2, r11\n"
        "b 8b\n"

        "6:\n" /* not quick */
        "bne 14f\n"
        "asr r8, r8, #7\n"
        "asr r9, r9, #7\n"
        "asr r10, r10, #7\n"
        "asr r11, r11, #7\n"
        "14:\n"
        "asr r8, r8, #1\n"
        "asr r9, r9, #1\n"
        "asr r10, r10, #1\n"
        "asr r11, r11, #1\n"
        "add r0, sp, #76\n"
        "stm r0, {r4-r11}\n"
        "add r1, sp, #32\n"
        "bl ew_block_any\n"
        "ldrd r0, r1, [sp, #40]\n"
        "adds r0, #16\n"
        "adds r1, #2\n"
        "strd r0, r1, [sp, #40]\n"
        "ldr r0, [sp, #48]\n"
        "b 9b\n");
}

/* Values of four windows from `in` up to `end`, a multiple of four, as columns. Returns the end of the columns. */
EW_DSP_NAKED static uint32_t *widen_fours(
    const int8_t *in __attribute__((unused)), int32_t step __attribute__((unused)),
    const int8_t *end __attribute__((unused)), uint32_t *to __attribute__((unused))) {
    __asm volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "add r8, r0, r1\n"
        "add r9, r8, r1\n"
        "add r10, r9, r1\n"
        "1:\n"
        "ldr r1, [r0], #4\n"
        "ldr r11, [r8], #4\n"
        "ldr r12, [r9], #4\n"
        "ldr lr, [r10], #4\n"
        "sxtb16 r4, r1\n"
        "sxtb16 r5, r11\n"
        "sxtb16 r6, r12\n"
        "sxtb16 r7, lr\n"
        "stm r3!, {r4-r7}\n"
        "sxtb16 r4, r1, ror #8\n"
        "sxtb16 r5, r11, ror #8\n"
        "sxtb16 r6, r12, ror #8\n"
        "sxtb16 r7, lr, ror #8\n"
        "stm r3!, {r4-r7}\n"
        "cmp r0, r2\n"
        "bne 1b\n"
        "mov r0, r3\n"
        "pop {r4-r11, pc}\n");
}

#else

static uint32_t *widen_fours(const int8_t *in, int32_t step, const int8_t *end, uint32_t *to) {
    for (; in < end; in += 4, to += 4) {
        for (int32_t i = 0; i < 4; i++) *to++ = ew_even_bytes(ew_word(in + i * step));
        for (int32_t i = 0; i < 4; i++) to[i] = ew_odd_bytes(ew_word(in + i * step));
    }
    return to;
}

static void ew_block_four(const four_t *given) {
    four_t f = *given;
    for (; f.pairs > 0; f.pairs--, f.bias += 4, f.shift += 2, f.out += 2) {
        int32_t sums[8] = {0};
        int32_t odd = f.odd;
        for (const uint32_t *x = f.columns; x != f.end; x += 4, f.weights += odd ? 2 : 4, odd = 0) {
            uint32_t word = ew_word(f.weights), first = ew_even_bytes(word);
            for (int32_t i = 0; i < 4; i++) {
                sums[i] = ew_smlad(x[i], first, sums[i]);
                sums[i + 4] = ew_smlad(x[i], f.wide ? ew_odd_bytes(word) : word, sums[i + 4]);
            }
        }
        for (int32_t i = 0; i < 4 && !f.wide; i++) sums[i + 4] = (int32_t)((uint32_t)sums[i + 4] - (uint32_t)sums[i]) >> 8;
        ew_block_any(sums, &f);
    }
}

#endif

/* A pair of values, or a single one, of four windows. */
static void edge(const int8_t *in, int32_t step, int32_t both, uint32_t *to) {
    for (int32_t i = 0; i < 4; i++, in += step) to[i] = ew_pair(in[0], both ? in[1] : 0);
}

/* Four windows as columns of pairs, in the order of the weights. Returns the end. */
static uint32_t *widen(const int8_t *in, int32_t step, int32_t depth, uint32_t *to) {
    int32_t odd = depth & 1, fours = depth & ~3;
    if (odd) edge(in, step, 0, to), to += 4;
    if (fours) to = widen_fours(in + odd, step, in + odd + fours, to);
    if (depth & 2) edge(in + odd + fours, step, 1, to), to += 4;
    return to;
}

/* What the windows of one group have in common. */
typedef struct {
    four_t f;
    int32_t depth, channels;
} group_t;

static int8_t finish(const group_t *g, int32_t o, int32_t sum) {
    return (int8_t)ew_dsp_finish(sum, g->f.bias + 2 * o, g->f.shift[o], g->f.zero);
}

/* Channels from `o` on, of one window. */
static void one(const group_t *g, const int8_t *in, int8_t *out, int32_t o) {
    while (o < g->channels) {
        int32_t sums[4];
        int32_t now = ew_dot(in, g->f.weights + o * g->depth, g->depth, g->channels - o, g->f.wide, sums);
        for (int32_t i = 0; i < now; i++, o++) out[o] = finish(g, o, sums[i]);
    }
}

static void four(group_t *g, const int8_t *in, int32_t step, int8_t *out, uint32_t *columns) {
    int32_t last = g->channels - 1, odd = g->channels & 1, sums[4];
    int8_t results[4]; /* of the odd channel: what it reads may be overwritten by the others */
    g->f.out = out;
    g->f.end = widen(in, step, g->depth, columns);
    for (int32_t i = 0; i < 4 && odd; i++) {
        ew_dot(in + i * step, g->f.weights + last * g->depth, g->depth, 1, 0, sums);
        results[i] = finish(g, last, sums[0]);
    }
    if (g->f.pairs > 0) ew_block_four(&g->f);
    for (int32_t i = 0; i < 4 && odd; i++) out[i * g->f.out_step + last] = results[i];
}

void ew_block(const ew_conv_t *p, const ew_windows_t *w) {
    int32_t channels = p->out_c / p->groups, depth = p->in_c / p->groups * p->kernel_h * p->kernel_w;
    int32_t block = depth < 2 || (p->wide && depth & 1) ? INT32_MAX : EW_BLOCK;
    group_t g = {{w->scratch, p->weights, p->bias, p->shift, NULL, w->out_step, channels / 2, 2 * p->out_zero + 1, NULL,
                  -(depth / 2) & 7, depth & 1, p->wide}, depth, channels};
    const int8_t *group = w->window;
    int8_t *group_out = w->out;
    for (int32_t n = 0; n < p->groups; n++, group += w->apart, group_out += channels) {
        const int8_t *in = group;
        int8_t *out = group_out;
        for (int32_t left = w->count, now; left > 0; left -= now, in += now * w->step, out += now * w->out_step) {
            now = left >= block ? EW_BLOCK : 1;
            if (now == EW_BLOCK) {
                four(&g, in, w->step, out, w->scratch);
            } else {
                memcpy(w->scratch, in, (size_t)depth);
                one(&g, w->scratch, out, 0);
            }
            for (int32_t i = 0; i < now; i++) ew_limit(out + i * w->out_step, channels, p->act_min, p->act_max);
        }
        g.f.weights += depth * channels, g.f.bias += 2 * channels, g.f.shift += channels;
    }
}

#endif
