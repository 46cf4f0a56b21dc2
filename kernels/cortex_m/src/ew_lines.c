#include "ew_lines.h"

#if defined(EW_PORTABLE)

void ew_scatter(const ew_conv_t *p, const ew_pixels_t *x) {
    for (int32_t n = 0; n < x->count; n++) {
        int8_t *to = x->to + n * x->to_step;
        for (int32_t c = 0; c < p->in_c; c++, to += x->apart) *to = x->from ? x->from[n * x->from_step + c] : p->in_zero;
    }
}

void ew_lines(const ew_lines_t *l) {
    const int8_t *w = l->weights, *plane = l->window;
    for (int32_t o = 0, of = 0; o < l->channels; o++, w += l->taps) {
        const int8_t *window = plane;
        int8_t *out = l->out + o;
        for (int32_t n = 0; n < l->count; n++, window += l->step, out += l->out_step) {
            uint32_t sum = (uint32_t)l->bias[o];
            for (int32_t i = 0; i < l->taps; i++) sum += (uint32_t)(w[i] * window[i]);
            int32_t value = ew_requantize((int32_t)sum, l->multiplier[o], l->shift[o]);
            *out = (int8_t)ew_clamp(ew_add32(value, l->out_zero), -128, 127);
        }
        if (++of == l->per) of = 0, plane += l->apart;
    }
}

#endif
