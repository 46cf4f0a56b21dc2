#include "ew_mean.h"

#if defined(EW_MVE)
#include <arm_mve.h>
#endif

/* Sums over pixels that are `step` bytes apart: of four neighbouring channels, or of one where fewer than four are left
 * (with MVE of eight, or up to four). Returns of how many. */
static int32_t sums(const int8_t *at, int32_t pixels, int32_t step, int32_t left, int32_t *found) {
#if defined(EW_MVE)
    if (left >= 8 && pixels <= 256) { /* so that 16 bits suffice */
        int16x8_t half = vdupq_n_s16(0);
        do {
            half = vaddq_s16(half, vldrbq_s16(at));
            at += step;
        } while (--pixels > 0);
        vst2q_s32(found, ((int32x4x2_t){{vmovlbq_s16(half), vmovltq_s16(half)}}));
        return 8;
    }
    mve_pred16_t some = vctp32q((uint32_t)left);
    int32x4_t all = vdupq_n_s32(0);
    do {
        all = vaddq_s32(all, vldrbq_z_s32(at, some));
        at += step;
    } while (--pixels > 0);
    vst1q_s32(found, all);
    return ew_min(left, 4);
#else
    int32_t a = 0, b = 0, c = 0, d = 0;
    if (left < 4) {
        do {
            a += *at;
            at += step;
        } while (--pixels > 0);
        found[0] = a;
        return 1;
    }
    do {
        uint32_t word;
        memcpy(&word, at, 4);
        a += (int8_t)word;
        b += (int8_t)(word >> 8);
        c += (int8_t)(word >> 16);
        d += (int8_t)(word >> 24);
        at += step;
    } while (--pixels > 0);
    found[0] = a, found[1] = b, found[2] = c, found[3] = d;
    return 4;
#endif
}

void ew_global_average(const ew_global_average_t *p, const int8_t *in, int8_t *out) {
    int32_t pixels = p->pixels, channels = p->channels, found[8];
    for (int32_t n = p->batch; n > 0; n--, in += (pixels - 1) * channels) {
        for (int32_t left = channels; left > 0;) {
            int32_t some = sums(in, pixels, channels, left, found);
            left -= some;
            in += some;
            for (const int32_t *sum = found; some > 0; some--, sum++) {
                int32_t half = *sum > 0 ? pixels / 2 : -(pixels / 2);
                *out++ = (int8_t)ew_clamp((*sum + half) / pixels, p->act_min, p->act_max);
            }
        }
    }
}

void ew_mean(const ew_mean_t *p, const int8_t *in, int8_t *out) {
    int32_t pixels = p->pixels, channels = p->channels, found[8];
    for (int32_t n = p->batch; n > 0; n--, in += (pixels - 1) * channels) {
        for (int32_t left = channels; left > 0;) {
            int32_t some = sums(in, pixels, channels, left, found);
            left -= some;
            in += some;
            for (const int32_t *sum = found; some > 0; some--, sum++) {
                int32_t mean = ew_requantize(ew_add32(*sum, p->offset), p->multiplier, p->shift) + p->out_zero;
                *out++ = (int8_t)ew_clamp(mean, -128, 127);
            }
        }
    }
}
