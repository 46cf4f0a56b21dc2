#include "ew_quantize.h"

void ew_quantize(const ew_quantize_t *p, const void *in, void *out) {
    const uint8_t *from = in;
    int8_t *to = out;
    float scale = p->scale;
    int32_t zero = p->zero;
    for (int8_t *end = to + p->count; to < end; from += 4) {
        float x;
        memcpy(&x, from, 4);
        x /= scale;
        if (!(x > -512.0f)) x = -512.0f;
        if (x > 512.0f) x = 512.0f;
        int32_t q = (int32_t)x;
        x -= (float)q; /* exact */
        q += (x >= 0.5f) - (x <= -0.5f);
        *to++ = (int8_t)ew_clamp(q + zero, INT8_MIN, INT8_MAX);
    }
}

void ew_dequantize(const ew_dequantize_t *p, const void *in, void *out) {
    const int8_t *from = in;
    uint8_t *to = out;
    float scale = p->scale;
    int32_t zero = p->zero;
    for (const int8_t *end = from + p->count; from < end; to += 4) {
        float x = scale * (float)(*from++ - zero);
        memcpy(to, &x, 4);
    }
}

void ew_flip(const ew_flip_t *p, const void *in, void *out) {
    const uint8_t *from = in;
    uint8_t *to = out;
    int32_t count = p->count;
    for (; count >= 4; count -= 4, from += 4, to += 4) {
        uint32_t x;
        memcpy(&x, from, 4);
        x ^= 0x80808080u;
        memcpy(to, &x, 4);
    }
    for (; count > 0; count--) *to++ = *from++ ^ 0x80;
}
