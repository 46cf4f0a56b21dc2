#include "ew_block.h"

#if defined(EW_PORTABLE)

static void store(const ew_block_t *b, int32_t o, uint32_t sum, int8_t *out) {
    int32_t value = ew_requantize((int32_t)(sum + (uint32_t)b->bias[o]), b->multiplier[o], b->shift[o]);
    out[o] = (int8_t)ew_clamp(ew_add32(value, b->out_zero), b->act_min, b->act_max);
}

/* Two windows, `step` bytes apart, or the same one twice. */
static void two(const ew_block_t *b, const int8_t *in, int32_t step, int8_t *out, int32_t out_step) {
    const int8_t *w = b->weights;
    for (int32_t o = 0; o < b->channels; o += 2) {
        int32_t odd = o + 1 == b->channels;
        const int8_t *x = in, *y = in + step, *end = in + b->depth, *w1 = odd ? w : w + b->depth;
        uint32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
        while (x < end) {
            int32_t p = *x++, q = *y++, u = *w++, v = *w1++;
            s00 += (uint32_t)(p * u), s01 += (uint32_t)(p * v);
            s10 += (uint32_t)(q * u), s11 += (uint32_t)(q * v);
        }
        store(b, o, s00, out);
        store(b, o, s10, out + out_step);
        if (!odd) store(b, o + 1, s01, out), store(b, o + 1, s11, out + out_step);
        w = w1;
    }
}

void ew_block(const ew_block_t *b, const int8_t *in, int32_t step, int32_t count, int8_t *out, void *scratch) {
    for (; count > 0; count -= 2, in += 2 * step, out += 2 * b->out_step) {
        int32_t apart = count > 1 ? step : 0, out_step = count > 1 ? b->out_step : 0;
        if (b->overlap) {
            memcpy(scratch, in, (size_t)b->depth);
            memcpy((int8_t *)scratch + b->depth, in + apart, (size_t)b->depth);
            two(b, scratch, b->depth, out, out_step);
        } else {
            two(b, in, apart, out, out_step);
        }
    }
}

#endif
