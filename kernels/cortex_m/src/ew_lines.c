#include "ew_lines.h"

#if defined(EW_PORTABLE)

void ew_scatter(const ew_conv_t *p, const ew_pixels_t *x) {
    for (int32_t n = 0; n < x->count; n++) {
        int8_t *to = x->to + n * x->to_step;
        for (int32_t c = 0; c < p->in_c; c++, to += x->apart) *to = x->from ? x->from[n * x->from_step + c] : p->in_zero;
    }
}

void ew_lines(const ew_conv_t *p, const ew_windows_t *w) {
    int32_t taps = p->kernel_h * p->kernel_w, per = p->out_c / p->in_c;
    for (int32_t o = 0; o < p->out_c; o++) {
        const int8_t *window = w->window + o / per * w->apart, *weights = p->weights + o * taps;
        int8_t *out = w->out + o;
        for (int32_t n = 0; n < w->count; n++, window += w->step, out += w->out_step) {
            uint32_t sum = (uint32_t)p->bias[o];
            for (int32_t i = 0; i < taps; i++) sum += (uint32_t)(weights[i] * window[i]);
            int32_t value = ew_requantize((int32_t)sum, p->multiplier[o], p->shift[o]);
            *out = (int8_t)ew_clamp(ew_add32(value, p->out_zero), p->act_min, p->act_max);
        }
    }
}

#endif
