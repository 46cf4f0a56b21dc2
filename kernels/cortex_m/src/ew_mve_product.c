/* Matrix product for convolutions (ew_mve.h): two channels by three windows at a time, the sums in core registers, then
 * four channels by four windows through requantization. */
#include "ew_mve.h"

#if defined(EW_MVE)

#define ROW EW_MVE_BLOCK /* int32 from the sums of a channel to those of the next */
#define ROW_BYTES "144"

/* A block of windows. The order is that of LDM and STM below. */
typedef struct {
    int32_t advance3;       /* from behind a window to the next but two, and */
    const int8_t *end3;     /* the window behind the last block of three */
    int32_t advance2;       /* from behind a window to the next but one, and */
    const int8_t *end2;     /* the window behind the last block of two */
    const int8_t *in[3];    /* the first windows */
    const int8_t *weights;  /* the next channel's, moved on by `pair` */
    const int32_t *bias;    /* likewise */
    int32_t *sums;          /* likewise: where the next channel's go */
    int32_t weights_step;   /* bytes from one channel to the next */
    int32_t length;
    const int32_t *multiplier; /* the next channel's, moved on by `quad` */
    const int8_t *shift;       /* likewise */
    int8_t *out;               /* likewise */
    int32_t out_step, zero, windows;
} block_t;

/* Sums of the next two channels: blocks of three windows, then blocks of two.
 * r0, r2, r4 sums of the first channel; r6, r8, r10 of the second; r1, r3, r5 windows; r7, r9 weights; r11, r12 where sums
 * go. On the stack: what an LDM puts into r0, r2, r4, r6 to r10 and lr before a block; advance3, end3, advance2, end2. */
EW_MVE_NAKED static void pair(block_t *b __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   ldm      r0!, {r4-r7}\n"
        "   push     {r4-r7}\n"
        "   sub      sp, #36\n"
        "   ldm      r0!, {r1, r3, r5}\n"
        "   mov      r12, r0\n"
        "   ldm      r0, {r7, r8, r9, r10, lr}\n" /* weights, bias, sums, weights_step, length */
        "   mov      r11, r9\n"
        "   ldm      r8!, {r2, r6}\n"
        "   add      r9, #2*" ROW_BYTES "\n"
        "   add      r0, r7, r10, lsl #1\n"
        "   stm      r12, {r0, r8, r9}\n"
        "   add      r9, r7, r10\n"
        "   mov      r0, r2\n"
        "   mov      r4, r2\n"
        "   mov      r8, r6\n"
        "   mov      r10, r6\n"
        "   stm      sp, {r0, r2, r4, r6, r7, r8, r9, r10, lr}\n"
        "   add      r12, r11, #" ROW_BYTES "\n"
        "   ldr      r9, [sp, #40]\n"
        "   b        3f\n"

        "1: ldm      sp, {r0, r2, r4, r6, r7, r8, r9, r10, lr}\n"
        "   dlstp.8  lr, lr\n"
        "2: vldrb.8  q0, [r7], #16\n"
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
        "   letp     lr, 2b\n"
        "   ldrd     r7, r9, [sp, #36]\n"
        "   stm      r11!, {r0, r2, r4}\n"
        "   stm      r12!, {r6, r8, r10}\n"
        "   add      r1, r7\n"
        "   add      r3, r7\n"
        "   add      r5, r7\n"
        "3: cmp      r1, r9\n"
        "   bne      1b\n"

        "   ldr      r9, [sp, #48]\n"
        "   b        6f\n"
        "4: ldm      sp, {r0, r2, r4, r6, r7, r8, r9, r10, lr}\n"
        "   dlstp.8  lr, lr\n"
        "5: vldrb.8  q0, [r7], #16\n"
        "   vldrb.8  q1, [r1], #16\n"
        "   vmladava.s8 r0, q0, q1\n"
        "   vldrb.8  q2, [r9], #16\n"
        "   vmladava.s8 r6, q2, q1\n"
        "   vldrb.8  q1, [r3], #16\n"
        "   vmladava.s8 r2, q0, q1\n"
        "   vmladava.s8 r8, q2, q1\n"
        "   letp     lr, 5b\n"
        "   ldrd     r7, r9, [sp, #44]\n"
        "   stm      r11!, {r0, r2}\n"
        "   stm      r12!, {r6, r8}\n"
        "   add      r1, r7\n"
        "   add      r3, r7\n"
        "6: cmp      r1, r9\n"
        "   bne      4b\n"
        "   add      sp, #52\n"
        "   pop      {r4-r11, pc}\n");
}

/* Requantizes the four channels whose sums were computed last; all shifts below 0, outputs aligned to 4.
 * r4 to r7 multipliers, r8 to r11 shifts, r0 sums, r1 out, r2 = 4 * out_step, r3 = 1, r12 = zero;
 * q3: where the words of four outputs go. */
#define ONE(q, from, multiplier, shift)              \
    "   vldrw.32 " q ", " from "\n"                  \
    "   vqrdmulh.s32 " q ", " q ", " multiplier "\n" \
    "   vqdmlah.s32 " q ", " q ", r3\n"              \
    "   vrshl.s32 " q ", " shift "\n"
EW_MVE_NAKED static void quad(block_t *b __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   add      r3, r0, #48\n"
        "   ldm      r3, {r1, r2, r8, r9, r12, lr}\n" /* multiplier, shift, out, out_step, zero, windows */
        "   ldm      r1!, {r4-r7}\n"
        "   ldr      r0, [r0, #36]\n"
        "   add      r10, r2, #4\n"
        "   add      r11, r8, #4\n"
        "   sub      r0, #4*" ROW_BYTES "\n"
        "   stm      r3, {r1, r10, r11}\n"
        "   str      r0, [r3, #-12]\n"
        "   mov      r1, r8\n"
        "   mov      r8, #0\n"
        "   lsl      r3, r9, #2\n"
        "   vidup.u32 q3, r8, #1\n"
        "   ldrsb    r8, [r2]\n"
        "   vmul.i32 q3, q3, r9\n"
        "   ldrsb    r9, [r2, #1]\n"
        "   ldrsb    r10, [r2, #2]\n"
        "   ldrsb    r11, [r2, #3]\n"
        "   mov      r2, r3\n"
        "   movs     r3, #1\n"
        "   dlstp.32 lr, lr\n"
        "1:\n" ONE("q0", "[r0], #16", "r4", "r8")
               ONE("q2", "[r0, #2*" ROW_BYTES "-16]", "r6", "r10")
               ONE("q1", "[r0, #" ROW_BYTES "-16]", "r5", "r9")
        "   vqmovnb.s32 q0, q0\n"
        "   vqmovnt.s32 q0, q2\n"
               ONE("q2", "[r0, #3*" ROW_BYTES "-16]", "r7", "r11")
        "   vqmovnb.s32 q1, q1\n"
        "   vqmovnt.s32 q1, q2\n"
        "   vqadd.s16 q0, q0, r12\n"
        "   vqadd.s16 q1, q1, r12\n"
        "   vqmovnb.s16 q0, q0\n"
        "   vqmovnt.s16 q0, q1\n"
        "   vstrw.32 q0, [r1, q3]\n"
        "   add      r1, r2\n"
        "   letp     lr, 1b\n"
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

static void singles(block_t *b) {
    b->sums -= 4 * ROW;
    for (int32_t i = 0; i < 4; i++) single(b, b->sums + i * ROW, b->out++, *b->multiplier++, *b->shift++);
}

EW_INLINE int is_fast(const block_t *b) {
    uint32_t shifts;
    memcpy(&shifts, b->shift, 4);
    return (~shifts & 0x80808080u) == 0 && (((uint32_t)(uintptr_t)b->out | (uint32_t)b->out_step) & 3) == 0;
}

EW_INLINE void four(block_t *b) {
    pair(b);
    pair(b);
    if (is_fast(b))
        quad(b);
    else
        singles(b);
}

/* All channels of a block, four at a time; where three or less are left, the ones before them again. */
static void fours(const ew_mve_product_t *g, block_t *b) {
    for (int32_t left = g->channels; left > 0; left -= 4) {
        if (left < 4) {
            b->weights -= (4 - left) * g->length;
            b->bias -= 4 - left;
            b->multiplier -= 4 - left;
            b->shift -= 4 - left;
            b->out -= 4 - left;
        }
        four(b);
    }
}

/* Three channels or less: each twice, for the sake of `pair`. */
static void each(const ew_mve_product_t *g, block_t *b) {
    int32_t *sums = b->sums;
    b->weights_step = 0;
    for (int32_t o = 0; o < g->channels; o++, b->sums = sums) {
        int32_t bias[2] = {g->bias[o], g->bias[o]};
        b->weights = g->weights + o * g->length;
        b->bias = bias;
        pair(b);
        single(b, sums, b->out + o, g->multiplier[o], g->shift[o]);
    }
}

/* n windows, at most EW_MVE_BLOCK. One counts as two that are the same. */
static void block(const ew_mve_product_t *g, const int8_t *in, int8_t *out, int32_t n, int32_t *sums) {
    int32_t step = n > 1 ? g->step : 1, twos = n > 1 ? n % 3 * 4 % 6 : 2, past = (g->length + 15) & ~15;
    const int8_t *end = in + ew_max(n, 2) * step;
    block_t b = {
        3 * step - past, end - twos * step, 2 * step - past, end, {in, n > 1 ? in + step : in, in + 2 * step},
        g->weights, g->bias, sums, g->length, g->length, g->multiplier, g->shift, out, g->out_step, g->out_zero, n,
    };
    if (g->channels < 4)
        each(g, &b);
    else
        fours(g, &b);
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
