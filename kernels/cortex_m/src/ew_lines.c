#include "ew_lines.h"

#if defined(EW_PORTABLE)

void ew_scatter(ew_value_t *to, int32_t apart, const int8_t *pixel, int32_t channels, int32_t fill) {
    for (int32_t c = 0; c < channels; c++, to += apart) *to = pixel ? pixel[c] : (int8_t)fill;
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
