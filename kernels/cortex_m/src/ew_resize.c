#include "ew_resize.h"

typedef struct {
    int32_t low, high; /* input elements */
    int32_t part;      /* how far from low to high, 2^-10 */
} place_t;

static place_t place(int32_t scaled, int32_t size) {
    place_t found;
    found.low = ew_clamp(scaled / 1024, 0, size - 1);
    found.high = ew_clamp((scaled + 1023) / 1024, 0, size - 1);
    found.part = scaled - 1024 * found.low;
    return found;
}

/* One output pixel from rows `low` and `high`. */
static void pixel(const int8_t *low, const int8_t *high, int32_t part, place_t x, int32_t channels, int8_t *out) {
    const int8_t *a = low + x.low * channels, *b = low + x.high * channels;
    const int8_t *c = high + x.low * channels, *d = high + x.high * channels;
    int32_t wa = (1024 - part) * (1024 - x.part), wb = (1024 - part) * x.part;
    int32_t wc = part * (1024 - x.part), wd = part * x.part;
    for (int32_t i = 0; i < channels; i++) {
        int32_t sum = a[i] * wa + b[i] * wb + c[i] * wc + d[i] * wd;
        out[i] = (int8_t)((sum + (1 << 19) + (sum >> 31)) >> 20);
    }
}

void ew_resize_bilinear(const ew_resize_bilinear_t *p, const int8_t *in, int8_t *out) {
    int32_t row = p->in_w * p->channels;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * row) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            place_t y = place(oy * p->scale_h + p->start_h, p->in_h);
            for (int32_t ox = 0; ox < p->out_w; ox++, out += p->channels) {
                place_t x = place(ox * p->scale_w + p->start_w, p->in_w);
                pixel(in + y.low * row, in + y.high * row, y.part, x, p->channels, out);
            }
        }
    }
}
