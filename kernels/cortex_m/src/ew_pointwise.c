#include "ew_block.h"

#if !defined(EW_MVE)

void ew_pointwise(const ew_pointwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    int32_t rows = p->out_h, row_step = p->stride_h * p->in_w * p->in_c;
    ew_windows_t w = {in, 0, p->stride_w * p->in_c, p->out_w, out, p->out_c, scratch};
    if (p->stride_h == 1 && p->stride_w == 1) w.count *= rows, rows = 1;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * p->in_w * p->in_c) {
        w.window = in;
        for (int32_t y = 0; y < rows; y++, w.window += row_step, w.out += w.count * p->out_c) ew_block(p, &w);
    }
}

#endif
