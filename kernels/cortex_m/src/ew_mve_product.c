/* Matrix product for convolutions (ew_mve.h): two channels by three windows at a time, the sums in core registers, then
 * four channels by four windows through requantization. */
#include "ew_mve.h"

#if defined(EW_MVE)

#define ROW EW_MVE_BLOCK /* int32 from the sums of a channel to those of the next */
#define ROW_BYTES "144"

/* Two channels and a row of windows, as `pair` wants it. `start` is what an LDM puts into r0, r2, r4, r6 to r10, lr. */
typedef struct {
    struct {
        int32_t bias0[3], bias1;
        const int8_t *weights0;
        int32_t bias1_;
        const int8_t *weights1;
        int32_t bias1__, length;
    } start;
    int32_t advance3;     /* bytes from behind a window to the next but two */
    const int32_t *end3;  /* where the sums of blocks of three windows end */
    const int8_t *in[3];  /* the first windows */
    int32_t *sums[2];     /* of both channels */
    int32_t advance2;     /* from behind a window to the next but one */
    const int32_t *end2;  /* where the sums of blocks of two windows end */
} pair_t;

/* Sums of products: blocks of three windows, then blocks of two.
 * r0, r2, r4 sums of the first channel; r6, r8, r10 of the second; r1, r3, r5 windows; r7, r9 weights; r11, r12 where sums go.
 * On the stack: `start`, advance, end; where the rest of `f` is. */
__attribute__((naked, noinline)) static void pair(const pair_t *f __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   ldm      r0!, {r1-r11}\n"
        "   str      r0, [sp, #-4]!\n"
        "   push     {r1-r11}\n"
        "   mov      r9, r11\n"
        "   ldm      r0, {r1, r3, r5, r11, r12}\n"
        "   cmp      r11, r9\n"
        "   beq      3f\n"

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
        "   stm      r11!, {r0, r2, r4}\n"
        "   stm      r12!, {r6, r8, r10}\n"
        "   ldrd     r7, r9, [sp, #36]\n"
        "   add      r1, r7\n"
        "   add      r3, r7\n"
        "   add      r5, r7\n"
        "   cmp      r11, r9\n"
        "   bne      1b\n"

        "3: ldr      r0, [sp, #44]\n"
        "   ldrd     r7, r9, [r0, #20]\n"
        "   strd     r7, r9, [sp, #36]\n"
        "   cmp      r11, r9\n"
        "   beq      6f\n"
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
        "   stm      r11!, {r0, r2}\n"
        "   stm      r12!, {r6, r8}\n"
        "   ldrd     r7, r9, [sp, #36]\n"
        "   add      r1, r7\n"
        "   add      r3, r7\n"
        "   cmp      r11, r9\n"
        "   bne      4b\n"

        "6: add      sp, #48\n"
        "   pop      {r4-r11, pc}\n");
}

/* Requantizes four channels of n windows; all shifts below 0, outputs aligned to 4.
 * r4 to r7 multipliers, r8 to r11 shifts, r2 = 4 * out_step, r3 = 1, r12 = zero; q3: where the words of four outputs go. */
__attribute__((naked, noinline)) static void quad(
    const int32_t *sums __attribute__((unused)), int8_t *out __attribute__((unused)),
    const int32_t *multiplier __attribute__((unused)), const int8_t *shift __attribute__((unused)),
    int32_t out_step __attribute__((unused)), int32_t zero __attribute__((unused)), int32_t n __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   mov      r12, #0\n"
        "   ldm      r2, {r4-r7}\n"
        "   vidup.u32 q3, r12, #1\n"
        "   ldrsb    r8, [r3]\n"
        "   ldrsb    r9, [r3, #1]\n"
        "   ldrsb    r10, [r3, #2]\n"
        "   ldrsb    r11, [r3, #3]\n"
        "   ldr      r2, [sp, #36]\n"
        "   ldrd     r12, lr, [sp, #40]\n"
        "   vmul.i32 q3, q3, r2\n"
        "   lsls     r2, r2, #2\n"
        "   movs     r3, #1\n"
        "   dlstp.32 lr, lr\n"
#define ONE(q, from, multiplier, shift)     \
    "   vldrw.32 " q ", " from "\n"         \
    "   vqrdmulh.s32 " q ", " q ", " multiplier "\n" \
    "   vqdmlah.s32 " q ", " q ", r3\n"     \
    "   vrshl.s32 " q ", " shift "\n"
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
#undef ONE
}

/* Requantizes one channel of n windows: any shift, any alignment. */
__attribute__((noinline)) static void single(const ew_mve_product_t *g, const int32_t *sums, int8_t *out, int32_t o, int32_t n) {
    uint32x4_t place = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)g->out_step);
    for (out += o; n > 0; n -= 4, sums += 4, out += 4 * g->out_step) {
        int32x4_t x = ew_mve_requantize_all(vldrwq_s32(sums), g->multiplier[o], g->shift[o]);
        vstrbq_scatter_offset_p_s32(out, place, ew_mve_narrow(x, g->out_zero), vctp32q((uint32_t)n));
    }
}

/* How n windows are divided: `threes` in blocks of three, the others in blocks of two. One window counts as two that are
 * the same. */
static void divide(pair_t *f, const int8_t *in, int32_t step, int32_t n, int32_t length) {
    int32_t past = (length + 15) & ~15;
    f->start.length = length;
    f->in[0] = in;
    f->in[1] = n > 1 ? in + step : in;
    f->in[2] = in + 2 * step;
    f->advance3 = 3 * step - past;
    f->advance2 = 2 * step - past;
}

/* Sums of channel o and the one behind it; twice the same channel where there is none. */
static void two_channels(const ew_mve_product_t *g, pair_t *f, int32_t o, int32_t n, int32_t *sums) {
    int32_t second = ew_min(o + 1, g->channels - 1), twos = n > 1 ? n % 3 * 4 % 6 : 2;
    f->start.bias0[0] = f->start.bias0[1] = f->start.bias0[2] = g->bias[o];
    f->start.bias1 = f->start.bias1_ = f->start.bias1__ = g->bias[second];
    f->start.weights0 = g->weights + o * g->length;
    f->start.weights1 = g->weights + second * g->length;
    f->sums[0] = sums;
    f->sums[1] = sums + ROW;
    f->end2 = sums + ew_max(n, 2);
    f->end3 = f->end2 - twos;
    pair(f);
}

static int is_fast(const ew_mve_product_t *g, const int8_t *out, int32_t o) {
    uint32_t shifts;
    if (o + 4 > g->channels || (((uint32_t)(uintptr_t)out | (uint32_t)g->out_step) & 3) != 0) return 0;
    memcpy(&shifts, g->shift + o, 4);
    return (~shifts & 0x80808080u) == 0;
}

/* All channels of at most EW_MVE_BLOCK windows. */
static void block(const ew_mve_product_t *g, const int8_t *in, int8_t *out, int32_t n, int32_t *sums) {
    pair_t f;
    divide(&f, in, g->step, n, g->length);
    for (int32_t o = 0; o < g->channels; o += 4) {
        int32_t end = ew_min(o + 4, g->channels);
        for (int32_t i = o; i < end; i += 2) two_channels(g, &f, i, n, sums + (i - o) * ROW);
        if (is_fast(g, out, o)) {
            quad(sums, out + o, g->multiplier + o, g->shift + o, g->out_step, g->out_zero, n);
            continue;
        }
        for (int32_t i = o; i < end; i++) single(g, sums + (i - o) * ROW, out, i, n);
    }
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
