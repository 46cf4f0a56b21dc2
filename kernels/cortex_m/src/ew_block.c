#include "ew_block.h"

#if defined(EW_PORTABLE)

static void store(const ew_conv_t *p, int32_t o, uint32_t sum, int8_t *out) {
    int32_t value = ew_requantize((int32_t)(sum + (uint32_t)p->bias[o]), p->multiplier[o], p->shift[o]);
    out[o] = (int8_t)ew_clamp(ew_add32(value, p->out_zero), p->act_min, p->act_max);
}

/* Channels o to end - 1 of two windows, one behind the other; they may be the same, and so may be their outputs. */
static void two(const ew_conv_t *p, const int8_t *in, int32_t depth, int32_t o, int32_t end, int8_t *out, int32_t out_step) {
    for (; o < end; o += 2) {
        int32_t odd = o + 1 == end;
        const int8_t *w = p->weights + o * depth, *w1 = odd ? w : w + depth, *x = in, *y = in + depth;
        uint32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
        while (x < in + depth) {
            int32_t a = *x++, b = *y++, c = *w++, d = *w1++;
            s00 += (uint32_t)(a * c), s01 += (uint32_t)(a * d);
            s10 += (uint32_t)(b * c), s11 += (uint32_t)(b * d);
        }
        store(p, o, s00, out);
        store(p, o, s10, out + out_step);
        if (!odd) store(p, o + 1, s01, out), store(p, o + 1, s11, out + out_step);
    }
}

void ew_block(const ew_conv_t *p, const ew_windows_t *w) {
    int32_t channels = p->out_c / p->groups, depth = p->in_c / p->groups * p->kernel_h * p->kernel_w;
    for (int32_t g = 0; g < p->groups; g++) {
        const int8_t *in = w->window + g * w->apart;
        int8_t *out = w->out, *copy = w->scratch;
        for (int32_t n = w->count; n > 0; n -= 2, in += 2 * w->step, out += 2 * w->out_step) {
            int32_t both = n > 1;
            memcpy(copy, in, (size_t)depth);
            memcpy(copy + depth, in + both * w->step, (size_t)depth);
            two(p, copy, depth, g * channels, (g + 1) * channels, out, both * w->out_step);
        }
    }
}

#endif
