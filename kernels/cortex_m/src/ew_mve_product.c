/* Matrix product for convolutions (ew_mve.h): two channels by three windows at a time, the sums in core registers, then
 * four channels by four windows through requantization. */
#include "ew_mve.h"

#if defined(EW_MVE)

#define ROW EW_MVE_BLOCK /* int32 from the sums of a channel to those of the next */
#define ROW_BYTES "144"

/* A block of windows, as `fours` wants it. */
typedef struct {
    int32_t advance3;      /* bytes from behind a window to the next but two, and */
    const int8_t *end3;    /* the window behind the last block of three */
    int32_t advance2;      /* from behind a window to the next but one, and */
    const int8_t *end2;    /* the window behind the last block of two */
    const int8_t *in[3];   /* the first windows */
    const int8_t *weights; /* of the first channel */
    const int32_t *bias;
    int32_t weights_step; /* bytes from one channel to the next */
    int32_t length;
    int32_t *sums;
    const int32_t *multiplier;
    const int8_t *shift;
    int8_t *out;
    int32_t out_step, zero, windows;
    int32_t channels; /* to be stored, a multiple of 4 */
} block_t;

/* Where they are in the copy that `fours` keeps on the stack, behind the nine words of an LDM. */
#define ADVANCE3 "36"
#define END3 "40"
#define ADVANCE2 "44"
#define END2 "48"
#define IN "52"
#define SUMS "80"
#define MULTIPLIER "84"
#define OUT "92"
#define ZERO "100"
#define CHANNELS "108"

/* Four channels at a time, as long as their shifts are below 0; outputs aligned to 4. Returns how many channels are
 * left, of which the first four have their sums. Where `channels` is 0, it computes the sums of four channels and
 * returns 0.
 *
 * Sums: r0, r2, r4 of one channel; r6, r8, r10 of the next; r1, r3, r5 windows; r7, r9 weights; r11, r12 where sums go.
 * The LDM before a block of windows puts the biases into the sums, both weights, and the length into lr.
 * Requantization: r4 to r7 multipliers, r8 to r11 shifts, r0 sums, r1 out, r2 = 4 * out_step, r3 = 1, r12 zero;
 * q3: where the words of four outputs go. */
#define REQUANTIZE(q, from, multiplier, shift)       \
    "   vldrw.32 " q ", " from "\n"                  \
    "   vqrdmulh.s32 " q ", " q ", " multiplier "\n" \
    "   vqdmlah.s32 " q ", " q ", r3\n"              \
    "   vrshl.s32 " q ", " shift "\n"
EW_MVE_NAKED static int32_t fours(const block_t *b __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   add      r1, r0, #40\n"
        "   ldm      r1, {r2-r10}\n"
        "   mov      r12, #0\n"
        "   vidup.u32 q3, r12, #1\n"
        "   vmul.i32 q3, q3, r7\n"
        "   push     {r2-r10}\n"
        "   ldm      r0, {r2-r11}\n"
        "   push     {r2-r11}\n"
        "   sub      sp, #36\n"

        "1: ldr      r11, [sp, #" SUMS "]\n"
        "2: add      r0, sp, #" IN "\n" /* two channels */
        "   ldm      r0!, {r1, r3, r5}\n"
        "   ldm      r0, {r7, r8, r9, lr}\n"
        "   ldm      r8!, {r2, r6}\n"
        "   add      r10, r7, r9, lsl #1\n"
        "   strd     r10, r8, [r0]\n"
        "   add      r9, r7\n"
        "   mov      r0, r2\n"
        "   mov      r4, r2\n"
        "   mov      r8, r6\n"
        "   mov      r10, r6\n"
        "   stm      sp, {r0, r2, r4, r6, r7, r8, r9, r10, lr}\n"
        "   add      r12, r11, #" ROW_BYTES "\n"
        "   ldr      r9, [sp, #" END3 "]\n"
        "   cmp      r1, r9\n"
        "   beq      5f\n"

        "3: ldm      sp, {r0, r2, r4, r6, r7, r8, r9, r10, lr}\n" /* three windows */
        "   dlstp.8  lr, lr\n"
        "4: vldrb.8  q0, [r7], #16\n"
        "   vldrb.8  q1, [r1], #16\n"
        "   vmladava.s8 r0, q0, q1\n"
        "   vldrb.8  q2, [r9], #16\n"
        "   vmladava.s8 r6, q2, q1\n"
        "   vldrb.8  q1, [r3], #16\n"
        "   vmladava.s8 r2, q0, q1\n"
        "   vmladava.s8 r8, q2, q1\n"
        "   vldrb.8  q1, [r5], #16\n"
        "   vmladava.s8 r4, q0, q1\n"
        "   vmladava.s8 r10, q2, q1\n"
        "   letp     lr, 4b\n"
        "   ldrd     r7, r9, [sp, #" ADVANCE3 "]\n"
        "   stm      r11!, {r0, r2, r4}\n"
        "   stm      r12!, {r6, r8, r10}\n"
        "   add      r1, r7\n"
        "   add      r3, r7\n"
        "   add      r5, r7\n"
        "   cmp      r1, r9\n"
        "   bne      3b\n"

        "5: ldr      r9, [sp, #" END2 "]\n"
        "   cmp      r1, r9\n"
        "   beq      8f\n"
        "6: ldm      sp, {r0, r2, r4, r6, r7, r8, r9, r10, lr}\n" /* two windows */
        "   dlstp.8  lr, lr\n"
        "7: vldrb.8  q0, [r7], #16\n"
        "   vldrb.8  q1, [r1], #16\n"
        "   vmladava.s8 r0, q0, q1\n"
        "   vldrb.8  q2, [r9], #16\n"
        "   vmladava.s8 r6, q2, q1\n"
        "   vldrb.8  q1, [r3], #16\n"
        "   vmladava.s8 r2, q0, q1\n"
        "   vmladava.s8 r8, q2, q1\n"
        "   letp     lr, 7b\n"
        "   ldrd     r7, r9, [sp, #" ADVANCE2 "]\n"
        "   stm      r11!, {r0, r2}\n"
        "   stm      r12!, {r6, r8}\n"
        "   add      r1, r7\n"
        "   add      r3, r7\n"
        "   cmp      r1, r9\n"
        "   bne      6b\n"

        "8: ldr      r0, [sp, #" SUMS "]\n"
        "   add      r1, r0, #2*" ROW_BYTES "\n"
        "   cmp      r11, r1\n"
        "   itt      lo\n"
        "   movlo    r11, r1\n"
        "   blo      2b\n"

        "   ldr      r3, [sp, #" CHANNELS "]\n" /* all four channels */
        "   cmp      r3, #0\n"
        "   beq      10f\n"
        "   ldrd     r1, r2, [sp, #" MULTIPLIER "]\n"
        "   ldr      r4, [r2]\n"
        "   mvns     r4, r4\n"
        "   tst      r4, #0x80808080\n"
        "   bne      10f\n"
        "   subs     r3, #4\n"
        "   str      r3, [sp, #" CHANNELS "]\n"
        "   ldm      r1!, {r4-r7}\n"
        "   ldrsb    r8, [r2], #1\n"
        "   ldrsb    r9, [r2], #1\n"
        "   ldrsb    r10, [r2], #1\n"
        "   ldrsb    r11, [r2], #1\n"
        "   strd     r1, r2, [sp, #" MULTIPLIER "]\n"
        "   ldrd     r1, r2, [sp, #" OUT "]\n"
        "   adds     r3, r1, #4\n"
        "   str      r3, [sp, #" OUT "]\n"
        "   ldrd     r12, lr, [sp, #" ZERO "]\n"
        "   lsls     r2, r2, #2\n"
        "   movs     r3, #1\n"
        "   dlstp.32 lr, lr\n"
        "9:\n" REQUANTIZE("q0", "[r0], #16", "r4", "r8")
               REQUANTIZE("q2", "[r0, #2*" ROW_BYTES "-16]", "r6", "r10")
               REQUANTIZE("q1", "[r0, #" ROW_BYTES "-16]", "r5", "r9")
        "   vqmovnb.s32 q0, q0\n"
        "   vqmovnt.s32 q0, q2\n"
               REQUANTIZE("q2", "[r0, #3*" ROW_BYTES "-16]", "r7", "r11")
        "   vqmovnb.s32 q1, q1\n"
        "   vqmovnt.s32 q1, q2\n"
        "   vqadd.s16 q0, q0, r12\n"
        "   vqadd.s16 q1, q1, r12\n"
        "   vqmovnb.s16 q0, q0\n"
        "   vqmovnt.s16 q0, q1\n"
        "   vstrw.32 q0, [r1, q3]\n"
        "   add      r1, r2\n"
        "   letp     lr, 9b\n"
        "   ldr      r3, [sp, #" CHANNELS "]\n"
        "   cmp      r3, #0\n"
        "   bne      1b\n"
        "10: mov     r0, r3\n"
        "   add      sp, #112\n"
        "   pop      {r4-r11, pc}\n");
}

/* Requantizes a channel: any shift, any alignment. */
static void single(const block_t *b, const int32_t *sums, int8_t *out, int32_t multiplier, int32_t shift) {
    uint32x4_t place = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)b->out_step);
    for (int32_t n = b->windows; n > 0; n -= 4, sums += 4, out += 4 * b->out_step) {
        int32x4_t x = ew_mve_requantize_all(vldrwq_s32(sums), multiplier, shift);
        vstrbq_scatter_offset_p_s32(out, place, ew_mve_narrow(x, b->zero), vctp32q((uint32_t)n));
    }
}

/* Channels from o on: as many as `fours` takes, and those whose sums it leaves; the last four may have some that are
 * done, and of three or less each is computed four times. Returns the next one that is to be done. */
static int32_t channels(const ew_mve_product_t *g, block_t *b, int8_t *out, int32_t o) {
    int32_t few = g->channels < 4, bias[4];
    if (!few) o = ew_min(o, g->channels - 4);
    for (int32_t i = 0; i < 4; i++) bias[i] = g->bias[o];
    b->bias = few ? bias : g->bias + o;
    b->weights = g->weights + o * g->length;
    b->weights_step = few ? 0 : g->length;
    b->multiplier = g->multiplier + o;
    b->shift = g->shift + o;
    b->out = out + o;
    int32_t aligned = (((uint32_t)(uintptr_t)b->out | (uint32_t)b->out_step) & 3) == 0;
    b->channels = aligned ? (g->channels - o) & ~3 : 0;
    int32_t left = fours(b);
    o += b->channels - left;
    if (left == 0 && b->channels > 0) return o;
    for (int32_t i = 0; i < (few ? 1 : 4); i++, o++)
        single(b, b->sums + i * ROW, out + o, g->multiplier[o], g->shift[o]);
    return o;
}

/* n windows, at most EW_MVE_BLOCK. One counts as two that are the same. */
static void block(const ew_mve_product_t *g, const int8_t *in, int8_t *out, int32_t n, int32_t *sums) {
    int32_t step = n > 1 ? g->step : 1, twos = n > 1 ? n % 3 * 4 % 6 : 2, past = (g->length + 15) & ~15;
    const int8_t *end = in + ew_max(n, 2) * step;
    block_t b = {
        .advance3 = 3 * step - past, .end3 = end - twos * step, .advance2 = 2 * step - past, .end2 = end,
        .in = {in, n > 1 ? in + step : in, in + 2 * step}, .length = g->length, .sums = sums, .out_step = g->out_step,
        .zero = g->out_zero, .windows = n,
    };
    for (int32_t o = 0; o < g->channels;) o = channels(g, &b, out, o);
}

void ew_mve_product(const ew_mve_product_t *g, int32_t *sums) {
    const int8_t *in = g->in;
    int8_t *out = g->out;
    for (int32_t left = g->count; left > 0; left -= EW_MVE_BLOCK) {
        block(g, in, out, ew_min(left, EW_MVE_BLOCK), sums);
        in += EW_MVE_BLOCK * g->step;
        out += EW_MVE_BLOCK * g->out_step;
    }
}

#endif
