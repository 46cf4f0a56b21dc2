#include "ew_copy.h"

/* The fastest axis, from these offsets. */
EW_INLINE void line(const int32_t *axis, int32_t run, const int8_t *in, int8_t *out, int32_t from, int32_t to) {
    int32_t in_step = axis[1], out_step = axis[2];
    for (int32_t count = axis[0]; count > 0; count--, from += in_step, to += out_step) {
        if (run == 1) out[to] = in[from];
        else ew_move(out + to, in + from, run);
    }
}

void ew_copy(const ew_copy_t *p, const void *in, void *out) {
    int32_t from = p->in_offset, to = p->out_offset, at[EW_COPY_AXES] = {0};
    for (;;) {
        const int32_t *axis = p->axes;
        if (p->run == 1) line(axis, 1, in, out, from, to);
        else line(axis, p->run, in, out, from, to);
        for (int32_t k = 1;; k++) { /* the next index: carry into slower axes */
            axis += 3;
            if (k == p->rank) return;
            from += axis[1];
            to += axis[2];
            if (++at[k] < axis[0]) break;
            from -= axis[0] * axis[1];
            to -= axis[0] * axis[2];
            at[k] = 0;
        }
    }
}
