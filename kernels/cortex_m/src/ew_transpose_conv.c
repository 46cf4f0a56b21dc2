#include "ew_transpose_conv.h"

#if defined(EW_DSP)
#include "ew_dsp.h"
#elif defined(EW_MVE)
#include <arm_mve.h>
#endif

/* One phase of one output row: which weights meet which values. */
typedef struct {
    const int8_t *weights; /* of channel 0, of the first tap of y inside of the image */
    int32_t block;         /* weights per channel */
    int32_t run;           /* weights per tap of y */
    int32_t taps;          /* of y, inside of the image */
    int32_t newest;        /* the input row of the first of them */
} phase_t;

static int32_t taps_of(int32_t kernel, int32_t stride, int32_t phase) {
    return phase < kernel ? (kernel - phase + stride - 1) / stride : 0;
}

/* acc[0], acc[1]: two channels of one pixel; acc[2], acc[3]: of the pixel `next` values later. */
static void accumulate(const int16_t *x, int32_t next, const int8_t *w, int32_t block, int32_t count, int32_t *acc) {
    const int16_t *x1 = x + next;
    const int8_t *w1 = w + block;
#if defined(EW_DSP)
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (; count > 0; count -= 4, w += 4, w1 += 4, x += 4, x1 += 4) {
        uint32_t v = ew_word(w), u = ew_word(w1), s = ew_word(x), t = ew_word(x1), first = ew_even_bytes(v);
        a = ew_smlad(first, s, a), c = ew_smlad(first, t, c), first = ew_even_bytes(u);
        b = ew_smlad(first, s, b), d = ew_smlad(first, t, d);
        v = ew_odd_bytes(v), u = ew_odd_bytes(u), s = ew_word(x + 2), t = ew_word(x1 + 2);
        a = ew_smlad(v, s, a), c = ew_smlad(v, t, c), b = ew_smlad(u, s, b), d = ew_smlad(u, t, d);
    }
#elif defined(EW_MVE)
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (; count > 0; count -= 8, w += 8, w1 += 8, x += 8, x1 += 8) {
        mve_pred16_t some = vctp16q((uint32_t)count);
        int16x8_t s = vldrhq_z_s16(x, some), t = vldrhq_z_s16(x1, some);
        int16x8_t v = vldrbq_z_s16(w, some), u = vldrbq_z_s16(w1, some);
        a = vmladavaq_s16(a, v, s), b = vmladavaq_s16(b, u, s), c = vmladavaq_s16(c, v, t), d = vmladavaq_s16(d, u, t);
    }
#else
    uint32_t a = (uint32_t)acc[0], b = (uint32_t)acc[1], c = (uint32_t)acc[2], d = (uint32_t)acc[3];
    for (; count > 0; count--) {
        int32_t v = *w++, u = *w1++, s = *x++, t = *x1++;
        a += (uint32_t)(v * s), b += (uint32_t)(u * s), c += (uint32_t)(v * t), d += (uint32_t)(u * t);
    }
#endif
    acc[0] = (int32_t)a, acc[1] = (int32_t)b, acc[2] = (int32_t)c, acc[3] = (int32_t)d;
}

static void store(const ew_transpose_conv_t *p, int32_t o, int32_t acc, int8_t *out) {
    int32_t value = ew_requantize(acc, p->multiplier[o], p->shift[o]) + p->out_zero;
    out[o] = (int8_t)ew_clamp(value, p->act_min, p->act_max);
}

/* Two pixels of one phase, `apart` bytes from each other; `last` where there is only the first. */
static void pixels(const ew_transpose_conv_t *p, const phase_t *f, const int16_t *ring, int32_t x, int8_t *out,
                   int32_t apart, int32_t last) {
    for (int32_t o = 0; o < p->out_c; o += 2) {
        int32_t one = o + 1 < p->out_c;
        int32_t first = p->bias ? p->bias[o] : 0, second = p->bias ? p->bias[o + one] : 0;
        int32_t acc[4] = {first, second, first, second};
        const int8_t *w = f->weights + o * f->block;
        for (int32_t i = 0; i < f->taps; i++, w += f->run) {
            const int16_t *row = ring + (f->newest - i) % p->ring_h * p->row + x;
            accumulate(row, last ? 0 : p->in_c, w, one ? f->block : 0, f->run, acc);
        }
        for (int32_t i = 0; i <= one; i++) {
            store(p, o + i, acc[i], out);
            if (!last) store(p, o + i, acc[2 + i], out + apart);
        }
    }
}

static void output_row(const ew_transpose_conv_t *p, const int16_t *ring, int32_t y, int8_t *out) {
    int32_t newest = (y + p->pad_top) / p->stride_h, phase_y = (y + p->pad_top) % p->stride_h;
    int32_t skipped = ew_max(newest - p->in_h + 1, 0), all = taps_of(p->kernel_h, p->stride_h, phase_y);
    for (int32_t phase_x = 0; phase_x < p->stride_w; phase_x++) {
        int32_t taps_x = taps_of(p->kernel_w, p->stride_w, phase_x);
        phase_t f;
        f.run = (taps_x * p->in_c + EW_TRANSPOSE_CONV_RUN - 1) / EW_TRANSPOSE_CONV_RUN * EW_TRANSPOSE_CONV_RUN;
        f.block = f.run * all;
        f.weights = p->weights + p->start[phase_y * p->stride_w + phase_x] + skipped * f.run;
        f.taps = ew_min(all, newest + 1) - skipped;
        f.newest = newest - skipped;
        int32_t apart = p->stride_w * p->out_c;
        int32_t column = (p->pad_left + p->stride_w - 1 - phase_x) / p->stride_w;
        int32_t x = column * p->stride_w + phase_x - p->pad_left; /* the first pixel of this phase */
        for (; x < p->out_w; x += 2 * p->stride_w, column += 2) {
            int32_t from = (column - taps_x + 1 + p->ring_left) * p->in_c;
            pixels(p, &f, ring, from, out + x * p->out_c, apart, x + p->stride_w >= p->out_w);
        }
    }
}

static void load(const ew_transpose_conv_t *p, int16_t *ring, int32_t y, const int8_t *in) {
    int16_t *row = ring + y % p->ring_h * p->row + p->ring_left * p->in_c;
    for (int32_t i = 0; i < p->in_w * p->in_c; i++) row[i] = (int16_t)(in[i] - p->in_zero);
}

void ew_transpose_conv(const ew_transpose_conv_t *p, const int8_t *in, int8_t *out, void *scratch) {
    int16_t *ring = scratch;
    memset(ring, 0, sizeof(int16_t) * (size_t)(p->ring_h * p->row + EW_TRANSPOSE_CONV_RUN));
    for (int32_t b = 0; b < p->batch; b++) {
        for (int32_t y = 0, loaded = 0; y < p->out_h; y++, out += p->out_w * p->out_c) {
            for (; loaded < p->in_h && loaded * p->stride_h <= y + p->pad_top; loaded++, in += p->in_w * p->in_c) {
                load(p, ring, loaded, in);
            }
            output_row(p, ring, y, out);
        }
    }
}
