/* DEPTHWISE_CONV_2D with MVE (ew_conv.h). Weights are packed as CWH: the order of a window in the ring, which has a
 * plane per channel. Four output channels at a time: sums of their windows, then requantization across the four.
 * Scratch: sums of four channels of a row of pixels, the ring, 15 bytes that are read behind windows and count for
 * nothing.
 */
#include "ew_mve_ring.h"

#if defined(EW_MVE)

/* Each channel of a pixel goes into a plane of its own. */
static void store(
    const ew_mve_ring_t *ring, int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t n) {
    int32_t channels = ring->p->in_c, apart = ring->apart, past = (channels + 7) & ~7;
    for (; n > 0 && apart > UINT16_MAX / 8; n--, to += to_step, from += from_step) {
        for (int32_t c = 0; c < channels; c++) to[c * apart] = from[c];
    }
    if (n <= 0) return;
    uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)apart);
    __asm volatile(
        "1: dlstp.16 lr, %[channels]\n"
        "2: vldrb.s16 q0, [%[from]], #8\n"
        "   vstrb.16 q0, [%[to], %q[places]]\n"
        "   add      %[to], %[apart]\n"
        "   letp     lr, 2b\n"
        "   add      %[from], %[from_step]\n"
        "   add      %[to], %[to_step]\n"
        "   subs     %[n], #1\n"
        "   bne      1b\n"
        : [to] "+r"(to), [from] "+l"(from), [n] "+r"(n)
        : [channels] "r"(channels), [apart] "r"(8 * apart), [places] "w"(places),
          [to_step] "r"(to_step - past * apart), [from_step] "r"(from_step - past)
        : "q0", "lr", "cc", "memory");
}

/* Channels of a row of pixels, as `fours` wants them: the first of those that are still to be computed. */
typedef struct {
    const int8_t *weights;
    const int32_t *multiplier;
    const int8_t *shift;
    const int32_t *bias;
    int8_t *out;
    const int8_t *in; /* window of the first pixel */
    int32_t apart;    /* bytes from one channel to the next */
    int32_t out_step, step, pixels; /* bytes from one pixel to the next; how many there are */
    int32_t zero;
    int32_t length;   /* of a window */
    int32_t channels; /* left */
} row_t;

/* Four channels at a time, as long as there are four and their shifts are below 0; windows of up to 16 bytes.
 * q4 to q7 weights, q1 multipliers, q2 shifts, q3 zero; r0, r2, r4, r6 sums; r1 out; r3, r5, r7, r8 windows; r9 bias;
 * r10 out_step; r11 = 1; r12 step. */
#define TAP(sum, window, step, weights)       \
    "   vldrb.8  q0, [" window "]" step "\n"  \
    "   vmladava.s8 " sum ", q0, " weights "\n"
#define REQUANTIZE                 \
    "   vmov     d0, r0, r2\n"     \
    "   vmov     d1, r4, r6\n"     \
    "   vqrdmulh.s32 q0, q0, q1\n" \
    "   vqdmlah.s32 q0, q0, r11\n" \
    "   vrshl.s32 q0, q0, q2\n"    \
    "   vadd.i32 q0, q0, q3\n"     \
    "   vqmovnb.s32 q0, q0\n"      \
    "   vqmovnb.s16 q0, q0\n"      \
    "   vstrb.32 q0, [r1]\n"       \
    "   add      r1, r10\n"
EW_MVE_NAKED static void fours(row_t *f __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   vpush    {d8-d15}\n"
        "   ldr      r1, [r0, #40]\n"
        "   mov      r11, #1\n"
        "   vdup.32  q3, r1\n"
        "   push     {r0}\n"
        "0: ldm      r0, {r1, r3, r4}\n" /* weights, multiplier, shift */
        "   ldrd     r2, r12, [r0, #44]\n" /* length, channels */
        "   subs     r12, #4\n"
        "   blt      4f\n"
        "   ldr      r5, [r4]\n"
        "   mvns     r5, r5\n"
        "   tst      r5, #0x80808080\n"
        "   bne      4f\n"
        "   str      r12, [r0, #48]\n"
        "   vctp.8   r2\n"
        "   add      r5, r1, r2\n"
        "   add      r6, r5, r2\n"
        "   add      r7, r6, r2\n"
        "   vpstttt\n"
        "   vldrbt.u8 q4, [r1]\n"
        "   vldrbt.u8 q5, [r5]\n"
        "   vldrbt.u8 q6, [r6]\n"
        "   vldrbt.u8 q7, [r7]\n"
        "   vldrw.32 q1, [r3], #16\n"
        "   vldrb.s32 q2, [r4], #4\n"
        "   add      r1, r7, r2\n"
        "   add      r8, r0, #12\n"
        "   ldm      r8!, {r9, r10, r12, lr}\n" /* bias, out, in, apart */
        "   add      r5, r9, #16\n"
        "   add      r6, r10, #4\n"
        "   add      r7, r12, lr, lsl #2\n"
        "   stm      r0, {r1, r3, r4, r5, r6, r7}\n"
        "   mov      r1, r10\n"
        "   mov      r3, r12\n"
        "   add      r5, r12, lr\n"
        "   add      r7, r5, lr\n"
        "   add      r2, r7, lr\n"
        "   ldm      r8, {r10, r12, lr}\n" /* out_step, step, pixels */
        "   mov      r8, r2\n"
        "   dls      lr, lr\n"
        "   cmp      r12, #3\n"
        "   bne      2f\n"
        "1: ldm      r9, {r0, r2, r4, r6}\n"
            TAP("r0", "r3", ", #3", "q4") TAP("r2", "r5", ", #3", "q5")
            TAP("r4", "r7", ", #3", "q6") TAP("r6", "r8", ", #3", "q7") REQUANTIZE
        "   le       lr, 1b\n"
        "3: ldr      r0, [sp]\n"
        "   b        0b\n"
        "2: ldm      r9, {r0, r2, r4, r6}\n"
            TAP("r0", "r3", "", "q4") TAP("r2", "r5", "", "q5")
            TAP("r4", "r7", "", "q6") TAP("r6", "r8", "", "q7")
        "   add      r3, r12\n"
        "   add      r5, r12\n"
        "   add      r7, r12\n"
        "   add      r8, r12\n"
            REQUANTIZE
        "   le       lr, 2b\n"
        "   b        3b\n"
        "4: pop      {r0}\n"
        "   vpop     {d8-d15}\n"
        "   pop      {r4-r11, pc}\n");
}

/* 16 bytes of four channels' windows, or less, as `add_part` wants them. */
typedef struct {
    const int8_t *weights[4];
    int32_t *sums; /* four per pixel */
    const int8_t *in[4];
    int32_t step, length, pixels;
} part_t;

/* Adds to the sums of four channels what a part of their windows gives. q1 to q4 weights; r0, r2, r4, r6 sums; r1 their
 * place; r3, r5, r7, r8 windows; r9 step. */
EW_MVE_NAKED static void add_part(const part_t *f __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r9, lr}\n"
        "   vpush    {d8-d9}\n"
        "   ldm      r0!, {r2, r4, r6, r12}\n"
        "   ldm      r0, {r1, r3, r5, r7, r8, r9}\n"
        "   ldrd     r0, lr, [r0, #24]\n"
        "   vctp.8   r0\n"
        "   vpstttt\n"
        "   vldrbt.u8 q1, [r2]\n"
        "   vldrbt.u8 q2, [r4]\n"
        "   vldrbt.u8 q3, [r6]\n"
        "   vldrbt.u8 q4, [r12]\n"
        "   dls      lr, lr\n"
        "1: ldm      r1, {r0, r2, r4, r6}\n"
            TAP("r0", "r3", "", "q1") TAP("r2", "r5", "", "q2") TAP("r4", "r7", "", "q3") TAP("r6", "r8", "", "q4")
        "   add      r3, r9\n"
        "   add      r5, r9\n"
        "   add      r7, r9\n"
        "   add      r8, r9\n"
        "   stm      r1!, {r0, r2, r4, r6}\n"
        "   le       lr, 1b\n"
        "   vpop     {d8-d9}\n"
        "   pop      {r4-r9, pc}\n");
}

/* Sums of four channels from `first` on, `count` of them different: windows of any length, any depth multiplier. */
static void add_all(
    const ew_conv_t *p, const row_t *f, const int8_t *window, int32_t first, int32_t count, int32_t *sums) {
    part_t part = {.sums = sums, .step = f->step, .pixels = f->pixels};
    int32_t times = p->out_c / p->in_c;
    for (int32_t done = 0; done < f->length; done += 16) {
        part.length = f->length - done;
        for (int32_t i = 0; i < 4; i++) {
            int32_t channel = ew_min(i, count - 1);
            part.weights[i] = f->weights + channel * f->length + done;
            part.in[i] = window + (first + channel) / times * f->apart + done;
        }
        add_part(&part);
    }
}

/* The next four channels, or what is left: windows of any length, any shift, any depth multiplier. */
static void any(const ew_conv_t *p, row_t *f, const int8_t *window, int32_t *sums) {
    int32_t count = ew_min(f->channels, 4);
    mve_pred16_t stored = vctp32q((uint32_t)count);
    int32x4_t bias = vldrwq_z_s32(f->bias, stored), multiplier = vldrwq_z_s32(f->multiplier, stored);
    int32x4_t shift = vldrbq_z_s32(f->shift, stored);
    for (int32_t x = 0; x < f->pixels; x++) vstrwq_s32(sums + 4 * x, bias);
    add_all(p, f, window, p->out_c - f->channels, count, sums);
    int8_t *out = f->out;
    for (int32_t x = f->pixels; x > 0; x--, sums += 4, out += f->out_step) {
        int32x4_t y = ew_mve_requantize(vldrwq_s32(sums), multiplier, shift);
        vstrbq_p_s32(out, ew_mve_narrow(y, f->zero), stored);
    }
    f->weights += 4 * f->length;
    f->multiplier += 4;
    f->shift += 4;
    f->bias += 4;
    f->out += 4;
    f->in += 4 * f->apart;
    f->channels -= 4;
}

/* All channels of the pixels x, x + dilation_w, ...; window: of the first of them in the first channel. */
static void pixels(const ew_mve_ring_t *ring, const int8_t *window, int32_t x, int8_t *out) {
    const ew_conv_t *p = ring->p;
    row_t f = {
        p->weights, p->multiplier, p->shift, p->bias, out + x * p->out_c, window, ring->apart, p->dilation_w * p->out_c,
        p->stride_w * p->kernel_h, (p->out_w - x + p->dilation_w - 1) / p->dilation_w, p->out_zero,
        p->kernel_h * p->kernel_w, p->out_c,
    };
    while (f.channels > 0) {
        if (f.length <= 16 && p->out_c == p->in_c) fours(&f);
        if (f.channels > 0) any(p, &f, window, ring->sums);
    }
}

static void row(const ew_mve_ring_t *ring, const int8_t *windows, int8_t *out) {
    const ew_conv_t *p = ring->p;
    int32_t across = p->dilation_w;
    for (int32_t x = 0; x < ew_min(across, p->out_w); x++) {
        int32_t column = x * p->stride_w;
        pixels(ring, windows + column % across * ring->plane + column / across * ring->column, x, out);
    }
    ew_mve_limit(out, p->out_w * p->out_c, p->act_min, p->act_max);
}

static ew_mve_ring_t ring_of(const ew_conv_t *p, void *scratch) {
    ew_mve_ring_t ring = ew_mve_ring(p, scratch, 4 * p->out_w, p->in_c, 1);
    ring.store = store;
    ring.row = row;
    return ring;
}

void ew_depthwise_load(const ew_depthwise_t *p, void *scratch, int32_t y, const int8_t *from) {
    ew_mve_ring_t ring = ring_of(p, scratch);
    ew_mve_ring_load(&ring, y, from);
}

void ew_depthwise_row(const ew_depthwise_t *p, void *scratch, int32_t y, int8_t *out) {
    ew_mve_ring_t ring = ring_of(p, scratch);
    ew_mve_ring_row(&ring, y, out);
}

void ew_depthwise(const ew_depthwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_mve_ring_t ring = ring_of(p, scratch);
    ew_mve_ring_image(&ring, in, out);
}

#endif
