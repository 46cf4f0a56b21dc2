#include "ew_pool.h"

#include "ew_copy.h"

#if defined(EW_DSP) && defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>
#endif

typedef ew_average_pool_t pool_t;

/* The part of a window that lies inside of the image; row y of the image is row y % ring of `rows`. */
typedef struct {
    const int8_t *rows;
    int32_t ring, row_bytes, channels;
    int32_t top, bottom, left, width;
} window_t;

EW_INLINE const int8_t *window_row(const window_t *w, int32_t y) {
    return w->rows + y % w->ring * w->row_bytes + w->left * w->channels;
}

static void clamp(const pool_t *p, int8_t *out, int32_t n) {
    if (p->act_min == -128 && p->act_max == 127) return;
    for (; n > 0; n--, out++) *out = (int8_t)ew_clamp(*out, p->act_min, p->act_max);
}

/* The sums of n (4 or 1; with MVE any up to 4) channels from c. */
EW_INLINE void sum(const window_t *w, int32_t c, int32_t n, int32_t *sums) {
    int32_t step = w->channels;
#if defined(EW_MVE)
    mve_pred16_t some = vctp32q((uint32_t)n);
    int32x4_t all = vdupq_n_s32(0);
    for (int32_t y = w->top; y < w->bottom; y++) {
        const int8_t *at = window_row(w, y) + c;
        for (int32_t x = w->width; x > 0; x--, at += step) all = vaddq_s32(all, vldrbq_z_s32(at, some));
    }
    vst1q_s32(sums, all);
#else
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t y = w->top; y < w->bottom; y++) {
        const int8_t *at = window_row(w, y) + c;
        for (int32_t x = w->width; x > 0; x--, at += step) {
            uint32_t word = (uint8_t)*at;
            if (n == 4) memcpy(&word, at, 4);
            s0 += (int8_t)word;
            s1 += (int8_t)(word >> 8);
            s2 += (int8_t)(word >> 16);
            s3 += (int8_t)(word >> 24);
        }
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
#endif
}

static void average_pixel(const pool_t *p, const window_t *w, int8_t *out) {
    int32_t count = (w->bottom - w->top) * w->width, half = count / 2, sums[4];
    for (int32_t c = 0, n; c < w->channels; c += n) {
        n = ew_min(w->channels - c, 4);
#if defined(EW_MVE)
        sum(w, c, n, sums);
#else
        if (n < 4) n = 1;
        if (n == 1) sum(w, c, 1, sums);
        else sum(w, c, 4, sums);
#endif
        for (int32_t i = 0; i < n; i++) out[c + i] = (int8_t)((sums[i] > 0 ? sums[i] + half : sums[i] - half) / count);
    }
    clamp(p, out, w->channels);
}

#if defined(EW_MVE)
static void max_pixel(const pool_t *p, const window_t *w, int8_t *out) {
    for (int32_t c = 0; c < w->channels; c += 16) {
        mve_pred16_t some = vctp8q((uint32_t)(w->channels - c));
        int8x16_t best = vdupq_n_s8(-128);
        for (int32_t y = w->top; y < w->bottom; y++) {
            const int8_t *at = window_row(w, y) + c;
            for (int32_t x = w->width; x > 0; x--, at += w->channels) best = vmaxq_s8(best, vldrbq_z_s8(at, some));
        }
        vstrbq_p_s8(out + c, best, some);
    }
    clamp(p, out, w->channels);
}
#else
/* The larger of each pair of signed bytes. */
EW_INLINE uint32_t max4(uint32_t a, uint32_t b) {
#if defined(EW_DSP) && defined(__ARM_FEATURE_SIMD32)
    (void)__ssub8((int8x4_t)a, (int8x4_t)b);
    return __sel(a, b);
#else
    const uint32_t top = 0x80808080u;
    uint32_t lower = (a | top) - (b & ~top);               /* top bits: whether the other seven bits of a >= those of b */
    uint32_t mask = ((b & ~a) | (~(a ^ b) & lower)) & top; /* whether a >= b: a set top bit is the sign */
    mask = (mask << 1) - (mask >> 7);
    return (a & mask) | (b & ~mask);
#endif
}

/* out[i] = max(out[i], in[i]) */
static void larger(int8_t *out, const int8_t *in, int32_t n) {
    for (; n >= 4; n -= 4, in += 4, out += 4) {
        uint32_t a, b;
        memcpy(&a, in, 4);
        memcpy(&b, out, 4);
        a = max4(a, b);
        memcpy(out, &a, 4);
    }
    for (; n > 0; n--, in++, out++) *out = (int8_t)ew_max(*out, *in);
}

/* Element after element of the window into the output; the first one is read before anything is written over it. */
static void max_pixel(const pool_t *p, const window_t *w, int8_t *out) {
    int32_t channels = w->channels, skip = 1;
    ew_move(out, window_row(w, w->top), channels);
    for (int32_t y = w->top; y < w->bottom; y++, skip = 0) {
        const int8_t *at = window_row(w, y) + skip * channels;
        for (int32_t x = w->width - skip; x > 0; x--, at += channels) larger(out, at, channels);
    }
    clamp(p, out, channels);
}
#endif

typedef void pixel_t(const pool_t *p, const window_t *w, int8_t *out);

EW_INLINE void row(const pool_t *p, pixel_t *pixel, const int8_t *rows, int32_t ring, int32_t y, int8_t *out) {
    int32_t channels = p->channels, top = y * p->stride_h - p->pad_top, left = -p->pad_left;
    window_t w = {rows, ring, p->in_w * channels, channels, ew_max(top, 0), ew_min(top + p->window_h, p->in_h), 0, 0};
    for (int32_t x = 0; x < p->out_w; x++, left += p->stride_w, out += channels) {
        w.left = ew_max(left, 0);
        w.width = ew_min(left + p->window_w, p->in_w) - w.left;
        pixel(p, &w, out);
    }
}

static void average_row(const pool_t *p, const int8_t *rows, int32_t ring, int32_t y, int8_t *out) {
    row(p, average_pixel, rows, ring, y, out);
}

static void max_row(const pool_t *p, const int8_t *rows, int32_t ring, int32_t y, int8_t *out) {
    row(p, max_pixel, rows, ring, y, out);
}

typedef void row_t(const pool_t *p, const int8_t *rows, int32_t ring, int32_t y, int8_t *out);

EW_INLINE void image(const pool_t *p, row_t *one, const int8_t *in, int8_t *out) {
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * p->in_w * p->channels) {
        for (int32_t y = 0; y < p->out_h; y++, out += p->out_w * p->channels) one(p, in, p->in_h, y, out);
    }
}

EW_INLINE int32_t ring_rows(const pool_t *p) { return ew_min(p->window_h, p->in_h); }

EW_INLINE void load(const pool_t *p, int8_t *ring, int32_t y, const int8_t *in) {
    int32_t bytes = p->in_w * p->channels;
    ew_move(ring + y % ring_rows(p) * bytes, in, bytes);
}

void ew_average_pool(const ew_average_pool_t *p, const int8_t *in, int8_t *out) { image(p, average_row, in, out); }
void ew_average_pool_load(const ew_average_pool_t *p, void *scratch, int32_t y, const int8_t *in) {
    load(p, scratch, y, in);
}
void ew_average_pool_row(const ew_average_pool_t *p, void *scratch, int32_t y, int8_t *out) {
    average_row(p, scratch, ring_rows(p), y, out);
}

void ew_max_pool(const ew_max_pool_t *p, const int8_t *in, int8_t *out) { image(p, max_row, in, out); }
void ew_max_pool_load(const ew_max_pool_t *p, void *scratch, int32_t y, const int8_t *in) { load(p, scratch, y, in); }
void ew_max_pool_row(const ew_max_pool_t *p, void *scratch, int32_t y, int8_t *out) {
    max_row(p, scratch, ring_rows(p), y, out);
}
