#include "ew_gather.h"

#include "ew_copy.h"

void ew_gather(const ew_gather_t *p, const void *in, void *out) {
    const int8_t *image = in;
    int8_t *target = out;
    int32_t run = p->run;
    for (int32_t n = 0; n < p->batch; n++, image += p->batch_step) {
        for (int32_t y = 0; y < p->out_h; y++) {
            const int8_t *row = image + p->rows[y] * p->row_step;
            for (int32_t x = 0; x < p->out_w; x++, target += run) ew_move(target, row + p->columns[x] * run, run);
        }
    }
}
