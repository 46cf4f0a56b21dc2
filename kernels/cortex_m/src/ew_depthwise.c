#include "ew_depthwise.h"
#include "ew_lines.h"

#if !defined(EW_MVE)

static const ew_ring_t ring = {ew_scatter, ew_lines, sizeof(ew_value_t)};

void ew_depthwise_load(const ew_depthwise_t *p, void *scratch, int32_t y, const int8_t *row) {
    ew_ring_load(p, &ring, scratch, y, row);
}

void ew_depthwise_row(const ew_depthwise_t *p, void *scratch, int32_t y, int8_t *out) {
    ew_ring_row(p, &ring, scratch, y, out);
}

void ew_depthwise(const ew_depthwise_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_ring_image(p, &ring, in, out, scratch);
}

#endif
