#include "ew_pool.h"

#include "ew_copy.h"

#if defined(EW_MVE)
#include <arm_mve.h>
#elif defined(EW_DSP) && defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>
#endif

typedef ew_average_pool_t pool_t;

/* The part of a window that lies inside of the image; row y of the image is row y % ring of `rows`. */
typedef struct {
    const int8_t *rows;
    int32_t ring, row_bytes, channels;
    int32_t top, bottom, left, width;
} window_t;

typedef void pixel_t(const pool_t *p, const window_t *w, int8_t *out);

EW_INLINE const int8_t *window_row(const window_t *w, int32_t y) {
    return w->rows + y % w->ring * w->row_bytes + w->left * w->channels;
}

#if !defined(EW_MVE)
/* The first four channels as one word, or all of them where there are fewer: nothing is read behind them. */
static inline uint32_t lanes(const int8_t *at, int32_t channels) {
    uint32_t word = 0;
    if (channels >= 4) memcpy(&word, at, 4);
    else while (channels-- > 0) word = word << 8 | (uint8_t)at[channels];
    return word;
}
#endif

/* The sums of the four channels from c. */
static void sum4(const window_t *w, int32_t c, int32_t *sums) {
#if defined(EW_MVE)
    mve_pred16_t some = vctp32q((uint32_t)w->channels);
    int32x4_t all = vdupq_n_s32(0);
    for (int32_t y = w->top; y < w->bottom; y++) {
        const int8_t *at = window_row(w, y) + c;
        for (int32_t x = w->width; x > 0; x--, at += w->channels) all = vaddq_s32(all, vldrbq_z_s32(at, some));
    }
    vst1q_s32(sums, all);
#else
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t y = w->top; y < w->bottom; y++) {
        const int8_t *at = window_row(w, y) + c;
        for (int32_t x = w->width; x > 0; x--, at += w->channels) {
            uint32_t word = lanes(at, w->channels);
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
    int32_t count = (w->bottom - w->top) * w->width, channels = w->channels, sums[4];
    for (int32_t c = 0; c < channels;) {
        int32_t first = ew_max(ew_min(c, channels - 4), 0), end = ew_min(first + 4, channels);
        sum4(w, first, sums);
        for (; c < end; c++) {
            int32_t sum = sums[c - first], half = sum > 0 ? count / 2 : -(count / 2);
            out[c] = (int8_t)ew_clamp((sum + half) / count, p->act_min, p->act_max);
        }
    }
}

#if defined(EW_MVE)
static void max_pixel(const pool_t *p, const window_t *w, int8_t *out) {
    for (int32_t c = 0; c < w->channels; c += 16) {
        mve_pred16_t some = vctp8q((uint32_t)(w->channels - c));
        int8x16_t best = vdupq_n_s8(p->act_min);
        for (int32_t y = w->top; y < w->bottom; y++) {
            const int8_t *at = window_row(w, y) + c;
            for (int32_t x = w->width; x > 0; x--, at += w->channels) best = vmaxq_s8(best, vldrbq_z_s8(at, some));
        }
        vstrbq_p_s8(out + c, vminq_s8(best, vdupq_n_s8(p->act_max)), some);
    }
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

static void max_pixel(const pool_t *p, const window_t *w, int8_t *out) {
    int32_t channels = w->channels;
    for (int32_t c = 0; c < channels;) {
        int32_t first = ew_max(ew_min(c, channels - 4), 0);
        uint32_t best = (uint8_t)p->act_min * 0x01010101u, limit = (uint8_t)p->act_max * 0x01010101u;
        for (int32_t y = w->top; y < w->bottom; y++) {
            const int8_t *at = window_row(w, y) + first;
            for (int32_t x = w->width; x > 0; x--, at += channels) best = max4(best, lanes(at, channels));
        }
        best = ~max4(~best, ~limit); /* the smaller one: ~x is -1 - x */
        int32_t end = ew_min(first + 4, channels);
        for (best >>= 8 * (c - first); c < end; c++, best >>= 8) out[c] = (int8_t)best;
    }
}
#endif

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
