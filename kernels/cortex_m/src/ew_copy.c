#include "ew_copy.h"

/* The fastest axis. */
EW_INLINE void line(const int32_t *axis, int32_t run, const int8_t *in, int8_t *out) {
    int32_t count = axis[0], in_step = axis[1], out_step = axis[2];
    for (; count > 0; count--, in += in_step, out += out_step) {
        if (run == 1) *out = *in;
        else ew_move(out, in, run);
    }
}

void ew_copy(const ew_copy_t *p, const void *in, void *out) {
    const int8_t *source = (const int8_t *)in + p->in_offset;
    int8_t *target = (int8_t *)out + p->out_offset;
    int32_t at[EW_COPY_AXES] = {0};
    for (;;) {
        const int32_t *axis = p->axes;
        if (p->run == 1) line(axis, 1, source, target);
        else line(axis, p->run, source, target);
        for (int32_t k = 1;; k++) { /* the next index: carry into slower axes */
            axis += 3;
            if (k == p->rank) return;
            source += axis[1];
            target += axis[2];
            if (++at[k] < axis[0]) break;
            source -= axis[0] * axis[1];
            target -= axis[0] * axis[2];
            at[k] = 0;
        }
    }
}
