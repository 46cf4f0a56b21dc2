#include "ew_conv_line.h"
#include "ew_block.h"

#if !defined(EW_MVE)

/* The window at column x of the image, with padding, in scratch. */
static const int8_t *padded(const ew_conv_line_t *p, const int8_t *image, int32_t x, int8_t *to) {
    int32_t first = ew_max(x, 0), end = ew_min(x + p->kernel_w, p->in_w);
    memset(to, p->in_zero, (size_t)(p->kernel_w * p->in_c));
    if (first < end) memcpy(to + (first - x) * p->in_c, image + first * p->in_c, (size_t)((end - first) * p->in_c));
    return to;
}

void ew_conv_line(const ew_conv_line_t *p, const int8_t *in, int8_t *out, void *scratch) {
    int32_t behind = (p->kernel_w * p->in_c + 15) / 16 * 16;
    ew_windows_t w = {NULL, 0, p->stride_w * p->in_c, 0, out, p->out_c, (int8_t *)scratch + behind};
    for (int32_t n = 0; n < p->batch; n++, in += p->in_w * p->in_c) {
        for (int32_t o = 0; o < p->out_w; o += w.count, w.out += w.count * p->out_c) {
            int32_t x = o * p->stride_w - p->pad_left, room = p->in_w - p->kernel_w - x;
            if (x >= 0 && room >= 0) {
                w.window = in + x * p->in_c;
                w.count = ew_min(p->out_w - o, room / p->stride_w + 1);
            } else {
                w.window = padded(p, in, x, scratch);
                w.count = 1;
            }
            ew_block(p, &w);
        }
    }
}

#endif
