#include "ew_depthwise.h"
#include "ew_limit.h"
#include "ew_lines.h"
#include "ew_ring.h"

#if !defined(EW_MVE)

static void compute(const ew_conv_t *p, const ew_windows_t *w) {
    enum { BYTES = sizeof(ew_value_t) };
    ew_lines_t l = {(const ew_value_t *)w->window, p->weights, p->bias, p->multiplier, p->shift, w->out, w->scratch, p->out_c,
                    p->kernel_h * p->kernel_w, w->count, p->out_c / p->in_c, w->apart / BYTES, w->step / BYTES,
                    w->out_step, p->out_zero};
    ew_lines(&l);
}

#define RING {p->in_c, sizeof(ew_value_t), ew_scatter, compute}

void ew_depthwise_load(const ew_depthwise_t *p, void *scratch, int32_t y, const int8_t *row) {
    ew_ring_t ring = RING;
    ew_ring_load(p, &ring, scratch, y, row);
}

void ew_depthwise_row(const ew_depthwise_t *p, void *scratch, int32_t y, int8_t *out) {
    ew_ring_t ring = RING;
    ew_ring_row(p, &ring, scratch, y, out);
    ew_limit(out, p->out_w * p->out_c, p->act_min, p->act_max);
}

void ew_depthwise(const ew_depthwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_ring_t ring = RING;
    ew_ring_image(p, &ring, in, out, scratch);
    ew_limit(out, p->batch * p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
}

#endif
