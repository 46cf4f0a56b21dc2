/* CONV_2D with MVE (ew_conv.h). Weights are packed as OWHI: the order of a window in the ring.
 * Scratch: sums of ew_mve_product, then the ring. */
#include "ew_mve_ring.h"

#if defined(EW_MVE)

static void store(
    const ew_mve_ring_t *ring, int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t n) {
    int32_t cell = ring->cell, past = (cell + 15) & ~15;
    if (n <= 0) return;
    __asm volatile(
        "1: dlstp.8  lr, %[cell]\n"
        "2: vldrb.8  q0, [%[from]], #16\n"
        "   vstrb.8  q0, [%[to]], #16\n"
        "   letp     lr, 2b\n"
        "   add      %[from], %[from_step]\n"
        "   add      %[to], %[to_step]\n"
        "   subs     %[n], #1\n"
        "   bne      1b\n"
        : [to] "+r"(to), [from] "+r"(from), [n] "+r"(n)
        : [cell] "r"(cell), [to_step] "r"(to_step - past), [from_step] "r"(from_step - past)
        : "q0", "lr", "cc", "memory");
}

static void row(const ew_mve_ring_t *ring, const int8_t *windows, int8_t *out) {
    const ew_conv_t *p = ring->p;
    int32_t across = p->dilation_w;
    ew_mve_product_t g = {
        .weights = p->weights, .bias = p->bias, .multiplier = p->multiplier, .shift = p->shift,
        .step = p->stride_w * ring->column, .length = p->kernel_w * ring->column, .channels = p->out_c / p->groups,
        .out_step = across * p->out_c, .out_zero = p->out_zero,
    };
    for (int32_t group = 0; group < p->groups; group++, windows += ring->apart) {
        for (int32_t x = 0; x < ew_min(across, p->out_w); x++) {
            int32_t column = x * p->stride_w;
            g.in = windows + column % across * ring->plane + column / across * ring->column;
            g.out = out + x * p->out_c + group * g.channels;
            g.count = (p->out_w - x + across - 1) / across;
            ew_mve_product(&g, ring->sums);
        }
        g.weights += g.channels * g.length;
        g.bias += g.channels;
        g.multiplier += g.channels;
        g.shift += g.channels;
    }
    ew_mve_limit(out, p->out_w * p->out_c, p->act_min, p->act_max);
}

static ew_mve_ring_t ring_of(const ew_conv_t *p, void *scratch) {
    ew_mve_ring_t ring = ew_mve_ring(p, scratch, EW_MVE_SUMS, p->groups, p->groups);
    ring.store = store;
    ring.row = row;
    return ring;
}

void ew_conv_load(const ew_conv_t *p, void *scratch, int32_t y, const int8_t *from) {
    ew_mve_ring_t ring = ring_of(p, scratch);
    ew_mve_ring_load(&ring, y, from);
}

void ew_conv_row(const ew_conv_t *p, void *scratch, int32_t y, int8_t *out) {
    ew_mve_ring_t ring = ring_of(p, scratch);
    ew_mve_ring_row(&ring, y, out);
}

void ew_conv(const ew_conv_t *p, const int8_t *in, int8_t *out, void *scratch) {
    ew_mve_ring_t ring = ring_of(p, scratch);
    ew_mve_ring_image(&ring, in, out);
}

#endif
