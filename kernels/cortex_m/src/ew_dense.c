#include "ew_block.h"
#include "ew_conv.h"

#if !defined(EW_MVE)

void ew_dense(const ew_dense_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_block_t b = {p->weights, p->bias, p->multiplier, p->shift, p->in_c, p->out_c, p->out_c, !p->per_channel, p->wide, 0,
                    p->out_zero, p->act_min, p->act_max};
    ew_block(&b, in, p->in_c, p->batch, out, scratch);
}

#endif
