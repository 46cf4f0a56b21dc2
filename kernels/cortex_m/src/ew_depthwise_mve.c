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

/* Sums of four channels, as `add_parts` wants them. */
typedef struct {
    const int8_t *in[4]; /* windows of the first pixel */
    int32_t length;      /* of a window */
    int32_t weights_step;
    const int8_t *weights;
    const int32_t *bias;
    int32_t *sums; /* four per pixel */
    int32_t step, pixels;
} four_t;

/* Windows of any length, in parts of 16 bytes. q1 to q4 weights; r0, r2, r4, r6 sums; r1 their place; r3, r5, r7, r8
 * windows; r9 step; r10 = f; r11 weights of the part; r12 how much is left of the windows. */
EW_MVE_NAKED static void add_parts(const four_t *f __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   vpush    {d8-d9}\n"
        "   add      r1, r0, #24\n"
        "   ldm      r1, {r2, r3, r4, r5, r6}\n" /* weights, bias, sums, step, pixels */
        "   ldm      r3, {r7-r10}\n"
        "   dls      lr, r6\n"
        "1: stm      r4!, {r7-r10}\n"
        "   le       lr, 1b\n"
        "   mov      r10, r0\n"
        "   mov      r11, r2\n"
        "   ldr      r12, [r10, #16]\n"
        "2: ldr      r9, [r10, #20]\n"
        "   vctp.8   r12\n"
        "   add      r4, r11, r9\n"
        "   add      r6, r4, r9\n"
        "   add      r9, r6\n"
        "   vpstttt\n"
        "   vldrbt.u8 q1, [r11]\n"
        "   vldrbt.u8 q2, [r4]\n"
        "   vldrbt.u8 q3, [r6]\n"
        "   vldrbt.u8 q4, [r9]\n"
        "   ldm      r10, {r3, r5, r7, r8}\n"
        "   ldr      r2, [r10, #24]\n"
        "   sub      r2, r11, r2\n"
        "   add      r3, r2\n"
        "   add      r5, r2\n"
        "   add      r7, r2\n"
        "   add      r8, r2\n"
        "   ldrd     r1, r9, [r10, #32]\n"
        "   ldr      lr, [r10, #40]\n"
        "   dls      lr, lr\n"
        "3: ldm      r1, {r0, r2, r4, r6}\n"
            TAP("r0", "r3", "", "q1") TAP("r2", "r5", "", "q2") TAP("r4", "r7", "", "q3") TAP("r6", "r8", "", "q4")
        "   add      r3, r9\n"
        "   add      r5, r9\n"
        "   add      r7, r9\n"
        "   add      r8, r9\n"
        "   stm      r1!, {r0, r2, r4, r6}\n"
        "   le       lr, 3b\n"
        "   add      r11, #16\n"
        "   subs     r12, #16\n"
        "   bgt      2b\n"
        "   vpop     {d8-d9}\n"
        "   pop      {r4-r11, pc}\n");
}

/* Requantizes the sums of `count` channels: any shift (ew_mve_requantize). */
static void finish(const row_t *f, const int32_t *sums, int32_t count) {
    mve_pred16_t stored = vctp32q((uint32_t)count);
    int32x4_t multiplier = vldrwq_z_s32(f->multiplier, stored), shift = vldrbq_z_s32(f->shift, stored);
    int32x4_t right = vminq_s32(shift, vdupq_n_s32(0)), left = vsubq_s32(shift, right);
    int32x4_t down = vnegq_s32(vmaxq_s32(right, vdupq_n_s32(-1)));
    int8_t *out = f->out;
    __asm volatile(
        "   vctp.32  %[count]\n"
        "   dls      lr, %[n]\n"
        "1: vldrw.32 q0, [%[sums]], #16\n"
        "   vshl.s32 q0, q0, %q[left]\n"
        "   vqrdmulh.s32 q0, q0, %q[multiplier]\n"
        "   vmulh.s32 q1, q0, %q[down]\n"
        "   vadd.i32 q0, q0, q1\n"
        "   vrshl.s32 q0, q0, %q[right]\n"
        "   vqadd.s32 q0, q0, %[zero]\n"
        "   vqmovnb.s32 q0, q0\n"
        "   vqmovnb.s16 q0, q0\n"
        "   vpst\n"
        "   vstrbt.32 q0, [%[out]]\n"
        "   add      %[out], %[step]\n"
        "   le       lr, 1b\n"
        : [sums] "+r"(sums), [out] "+l"(out)
        : [n] "r"(f->pixels), [step] "r"(f->out_step), [zero] "r"(f->zero), [count] "r"(count),
          [left] "w"(left), [multiplier] "w"(multiplier), [down] "w"(down), [right] "w"(right)
        : "q0", "q1", "p0", "lr", "memory");
}

/* Moves on by some channels, of which each has a plane. */
static void advance(row_t *f, int32_t channels) {
    f->weights += channels * f->length;
    f->multiplier += channels;
    f->shift += channels;
    f->bias += channels;
    f->out += channels;
    f->in += channels * f->apart;
    f->channels -= channels;
}

/* Four channels, or one of three or less: windows of any length, any shift, any depth multiplier. The last four may
 * have some that are done. */
static void any(const ew_conv_t *p, row_t *f, const int8_t *window, int32_t *sums) {
    int32_t few = p->out_c < 4, times = p->out_c / p->in_c, bias[4];
    if (!few && f->channels < 4) advance(f, f->channels - 4);
    four_t four = {
        .length = f->length, .weights_step = few ? 0 : f->length, .weights = f->weights, .bias = bias, .sums = sums,
        .step = f->step, .pixels = f->pixels,
    };
    for (int32_t i = 0; i < 4; i++) {
        int32_t channel = few ? 0 : i;
        four.in[i] = window + (p->out_c - f->channels + channel) / times * f->apart;
        bias[i] = f->bias[channel];
    }
    add_parts(&four);
    finish(f, sums, few ? 1 : 4);
    advance(f, few ? 1 : 4);
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
