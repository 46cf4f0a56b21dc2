#include "ew_block.h"
#include "ew_conv.h"

#if !defined(EW_MVE)

void ew_pointwise(const ew_pointwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_block_t b = {p->weights, p->bias, p->multiplier, p->shift, p->in_c, p->out_c, p->out_c, p->wide, 1,
                    p->out_zero, p->act_min, p->act_max};
    int32_t rows = p->out_h, pixels = p->out_w, step = p->stride_w * p->in_c, row_step = p->stride_h * p->in_w * p->in_c;
    for (int32_t n = 0; n < p->batch; n++, in += p->in_h * p->in_w * p->in_c) {
        if (p->stride_h == 1 && p->stride_w == 1) rows = 1, pixels = p->out_h * p->out_w;
        for (int32_t y = 0; y < rows; y++, out += pixels * p->out_c) {
            ew_block(&b, in + y * row_step, step, pixels, out, scratch);
        }
    }
}

#endif
