/* DEPTHWISE_CONV_2D with MVE (ew_conv.h). Weights are packed as CWH: the order of a window in the ring, which has a plane
 * per channel. Four output channels at a time: sums of their windows, then requantization across the four.
 * Scratch: the ring, sums of four channels of a row of pixels, 16 bytes that are read behind windows and count for nothing.
 */
#include "ew_mve_ring.h"

#if defined(EW_MVE)

/* Channels of a pixel, each into its plane: to[c * apart] = from[c]. */
static void spread(int8_t *to, const int8_t *from, int32_t apart, int32_t channels) {
    if (apart > UINT16_MAX / 8) {
        for (int32_t c = 0; c < channels; c++) to[c * apart] = from[c];
        return;
    }
    uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)apart);
    __asm volatile(
        "   dlstp.16 lr, %[n]\n"
        "1: vldrb.s16 q0, [%[from]], #8\n"
        "   vstrb.16 q0, [%[to], %q[places]]\n"
        "   add      %[to], %[step]\n"
        "   letp     lr, 1b\n"
        : [to] "+r"(to), [from] "+l"(from)
        : [n] "r"(channels), [step] "r"(8 * apart), [places] "w"(places)
        : "q0", "lr", "memory");
}

static void put(const ew_conv_t *p, int8_t *to, int32_t plane, int32_t cell, const int8_t *row) {
    int32_t across = p->dilation_w, columns = ew_mve_ring_columns(p);
    (void)cell;
    for (int32_t column = 0; column < columns; column++) {
        int8_t *at = to + column % across * plane + column / across * p->kernel_h;
        int32_t x = column - p->pad_left;
        if (row != NULL && (uint32_t)x < (uint32_t)p->in_w)
            spread(at, row + x * p->in_c, across * plane, p->in_c);
        else
            for (int32_t c = p->in_c; c > 0; c--, at += across * plane) *at = p->in_zero;
    }
}

/* Four channels of a row of pixels, as `four` wants them. */
typedef struct {
    const int8_t *weights;
    int32_t length; /* of a window */
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t zero, pixels;
    int8_t *out;
    const int8_t *in[4];
    const int32_t *bias;
    int32_t out_step, step; /* bytes from one pixel to the next */
} four_t;

/* Windows of up to 16 bytes, all shifts below 0.
 * q4 to q7 weights, q1 multipliers, q2 shifts, q3 zero; r0, r2, r4, r6 sums; r1 out; r3, r5, r7, r8 windows; r9 bias;
 * r10 out_step; r11 = 1; r12 step. */
#define TAP(sum, window, step, weights)       \
    "   vldrb.8  q0, [" window "]" step "\n"  \
    "   vmladava.s8 " sum ", q0, " weights "\n"
#define REQUANTIZE                 \
    "   vmov     d0, r0, r2\n" \
    "   vmov     d1, r4, r6\n" \
    "   vqrdmulh.s32 q0, q0, q1\n" \
    "   vqdmlah.s32 q0, q0, r11\n" \
    "   vrshl.s32 q0, q0, q2\n"    \
    "   vadd.i32 q0, q0, q3\n"     \
    "   vqmovnb.s32 q0, q0\n"      \
    "   vqmovnb.s16 q0, q0\n"      \
    "   vstrb.32 q0, [r1]\n"       \
    "   add      r1, r10\n"
EW_MVE_NAKED static void four(const four_t *f __attribute__((unused))) {
    __asm volatile(
        "   push     {r4-r11, lr}\n"
        "   vpush    {d8-d15}\n"
        "   ldm      r0!, {r1-r5, lr}\n"
        "   vctp.8   r2\n"
        "   add      r6, r1, r2\n"
        "   add      r7, r6, r2\n"
        "   add      r8, r7, r2\n"
        "   vpstttt\n"
        "   vldrbt.u8 q4, [r1]\n"
        "   vldrbt.u8 q5, [r6]\n"
        "   vldrbt.u8 q6, [r7]\n"
        "   vldrbt.u8 q7, [r8]\n"
        "   vldrw.32 q1, [r3]\n"
        "   vldrb.s32 q2, [r4]\n"
        "   vdup.32  q3, r5\n"
        "   ldm      r0, {r1, r3, r5, r7, r8, r9, r10, r12}\n"
        "   mov      r11, #1\n"
        "   dls      lr, lr\n"
        "   cmp      r12, #3\n"
        "   bne      2f\n"
        "1: ldm      r9, {r0, r2, r4, r6}\n"
            TAP("r0", "r3", ", #3", "q4") TAP("r2", "r5", ", #3", "q5")
            TAP("r4", "r7", ", #3", "q6") TAP("r6", "r8", ", #3", "q7") REQUANTIZE
        "   le       lr, 1b\n"
        "   b        3f\n"
        "2: ldm      r9, {r0, r2, r4, r6}\n"
            TAP("r0", "r3", "", "q4") TAP("r2", "r5", "", "q5")
            TAP("r4", "r7", "", "q6") TAP("r6", "r8", "", "q7")
        "   add      r3, r12\n"
        "   add      r5, r12\n"
        "   add      r7, r12\n"
        "   add      r8, r12\n"
            REQUANTIZE
        "   le       lr, 2b\n"
        "3: vpop     {d8-d15}\n"
        "   pop      {r4-r11, pc}\n");
}

/* Adds to the sums of four channels what 16 bytes of their windows give. weights[i]: the first of these bytes. */
static void add_part(const four_t *f, int32_t part, const int8_t *const weights[4], int32_t *sums) {
    mve_pred16_t valid = vctp8q((uint32_t)(f->length - part));
    int8x16_t w0 = vldrbq_z_s8(weights[0] + part, valid), w1 = vldrbq_z_s8(weights[1] + part, valid);
    int8x16_t w2 = vldrbq_z_s8(weights[2] + part, valid), w3 = vldrbq_z_s8(weights[3] + part, valid);
    const int8_t *a = f->in[0] + part, *b = f->in[1] + part, *c = f->in[2] + part, *d = f->in[3] + part;
    __asm volatile(
        "   dls      lr, %[n]\n"
        "1: ldm      %[sums], {r0, r2, r4, r6}\n"
            TAP("r0", "%[a]", "", "%q[w0]") TAP("r2", "%[b]", "", "%q[w1]")
            TAP("r4", "%[c]", "", "%q[w2]") TAP("r6", "%[d]", "", "%q[w3]")
        "   add      %[a], %[step]\n"
        "   add      %[b], %[step]\n"
        "   add      %[c], %[step]\n"
        "   add      %[d], %[step]\n"
        "   stm      %[sums]!, {r0, r2, r4, r6}\n"
        "   le       lr, 1b\n"
        : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [sums] "+r"(sums)
        : [n] "r"(f->pixels), [step] "r"(f->step), [w0] "w"(w0), [w1] "w"(w1), [w2] "w"(w2), [w3] "w"(w3)
        : "r0", "r2", "r4", "r6", "lr", "q0", "memory");
}

/* `count` of four channels, the others are not stored: windows of any length, any shift. */
__attribute__((noinline)) static void any(const four_t *f, int32_t count, int32_t *sums) {
    mve_pred16_t stored = vctp32q((uint32_t)count);
    int32x4_t bias = vldrwq_z_s32(f->bias, stored), multiplier = vldrwq_z_s32(f->multiplier, stored);
    int32x4_t shift = vldrbq_z_s32(f->shift, stored);
    const int8_t *weights[4];
    for (int32_t i = 0; i < 4; i++) weights[i] = f->weights + ew_min(i, count - 1) * f->length;
    for (int32_t x = 0; x < f->pixels; x++) vstrwq_s32(sums + 4 * x, bias);
    for (int32_t part = 0; part < f->length; part += 16) add_part(f, part, weights, sums);
    int8_t *out = f->out;
    for (int32_t x = f->pixels; x > 0; x--, sums += 4, out += f->out_step) {
        int32x4_t y = ew_mve_requantize(vldrwq_s32(sums), multiplier, shift);
        vstrbq_p_s32(out, ew_mve_narrow(y, f->zero), stored);
    }
}

EW_INLINE int is_fast(const four_t *f, int32_t count) {
    uint32_t shifts;
    if (count < 4 || f->length > 16) return 0;
    memcpy(&shifts, f->shift, 4);
    return (~shifts & 0x80808080u) == 0;
}

EW_INLINE ew_mve_ring_use_t use_of(const ew_conv_t *p) { return (ew_mve_ring_use_t){1, p->in_c, 0, put}; }

/* Bytes of the ring. */
EW_INLINE int32_t ring_bytes(const ew_conv_t *p, int32_t plane) {
    int32_t planes = p->dilation_h * p->dilation_w * p->in_c * plane;
    return (int32_t)sizeof(ew_mve_ring_t) + ((planes + 3) & ~3);
}

/* All channels of the pixels x, x + dilation_w, ...; window: of the first of them in the first channel. */
static void row_part(const ew_conv_t *p, const int8_t *window, int32_t apart, int32_t x, int8_t *out, int32_t *sums) {
    four_t f = {
        .weights = p->weights, .length = p->kernel_h * p->kernel_w, .multiplier = p->multiplier, .shift = p->shift,
        .zero = p->out_zero, .pixels = (p->out_w - x + p->dilation_w - 1) / p->dilation_w,
        .out = out + x * p->out_c, .bias = p->bias, .out_step = p->dilation_w * p->out_c,
        .step = p->stride_w * p->kernel_h,
    };
    int32_t times = p->out_c / p->in_c;
    for (int32_t o = 0; o < p->out_c; o += 4) {
        for (int32_t i = 0; i < 4; i++) f.in[i] = window + ew_min(o + i, p->out_c - 1) / times * apart;
        if (is_fast(&f, p->out_c - o))
            four(&f);
        else
            any(&f, ew_min(p->out_c - o, 4), sums);
        f.weights += 4 * f.length;
        f.multiplier += 4;
        f.shift += 4;
        f.bias += 4;
        f.out += 4;
    }
}

void ew_depthwise_load(const ew_depthwise_t *p, void *scratch, int32_t y, const int8_t *row) {
    ew_mve_ring_use_t use = use_of(p);
    ew_mve_ring_load(p, scratch, y, row, &use);
}

void ew_depthwise_row(const ew_depthwise_t *p, void *scratch, int32_t y, int8_t *out) {
    ew_mve_ring_use_t use = use_of(p);
    int32_t plane = ew_mve_ring_plane(p, 1), across = p->dilation_w;
    const int8_t *planes = ew_mve_ring_window(p, scratch, y, &use);
    int32_t *sums = (int32_t *)(void *)((int8_t *)scratch + ring_bytes(p, plane));
    for (int32_t x = 0; x < ew_min(across, p->out_w); x++) {
        int32_t column = x * p->stride_w;
        row_part(p, planes + column % across * plane + column / across * p->kernel_h, across * plane, x, out, sums);
    }
    ew_mve_limit(out, p->out_w * p->out_c, p->act_min, p->act_max);
}

void ew_depthwise(const ew_depthwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_mve_ring_image(p, in, out, scratch, ew_depthwise_load, ew_depthwise_row);
}

#endif
