#include "ew_lines.h"

#if defined(EW_PORTABLE)

void ew_scatter(const ew_conv_t *p, const ew_pixels_t *x) {
    int8_t fill = p->in_zero;
    const int8_t *pixel = x->from ? x->from : &fill;
    int32_t apart = x->apart, channels = p->in_c, next = x->from ? 1 : 0;
    for (int32_t n = 0; n < x->count; n++, pixel += x->from_step) {
        const int8_t *from = pixel;
        int8_t *to = x->to + n * x->to_step;
        for (int32_t c = channels; c > 0; c--, from += next, to += apart) *to = *from;
    }
}

static int8_t finish(const ew_conv_t *p, int32_t o, uint32_t sum) {
    int32_t value = ew_requantize((int32_t)sum, p->multiplier[o], p->shift[o]);
    return (int8_t)ew_clamp(ew_add32(value, p->out_zero), p->act_min, p->act_max);
}

/* One channel, two windows at a time. */
static void line(const ew_conv_t *p, const ew_windows_t *w, int32_t o, const int8_t *window, int32_t taps) {
    int8_t *out = w->out + o;
    for (int32_t n = w->count; n > 0; n -= 2, window += 2 * w->step, out += 2 * w->out_step) {
        int32_t both = n > 1;
        const int8_t *x = window, *y = window + both * w->step, *weight = p->weights + o * taps;
        uint32_t a = (uint32_t)p->bias[o], b = a;
        for (const int8_t *end = weight + taps; weight < end;) {
            int32_t value = *weight++;
            a += (uint32_t)(value * *x++), b += (uint32_t)(value * *y++);
        }
        *out = finish(p, o, a);
        if (both) out[w->out_step] = finish(p, o, b);
    }
}

void ew_lines(const ew_conv_t *p, const ew_windows_t *w) {
    int32_t taps = p->kernel_h * p->kernel_w, per = p->out_c / p->in_c;
    for (int32_t o = 0; o < p->out_c; o++) line(p, w, o, w->window + o / per * w->apart, taps);
}

#endif
