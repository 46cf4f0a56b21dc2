#include "ew_broadcast.h"

void ew_broadcast(const int32_t *shape, int32_t count, ew_run_t run, const void *p, const int8_t *a, const int8_t *b,
                  int8_t *out) {
    int32_t left[EW_BROADCAST_AXES];
    int32_t axes = shape[1], axis;
    for (axis = 0; axis < axes; axis++) left[axis] = shape[2 + 3 * axis];
    do {
        run(p, a, b, out, shape[0]);
        out += count;
        for (axis = 0; axis < axes; axis++) {
            const int32_t *row = shape + 2 + 3 * axis;
            a += row[1];
            b += row[2];
            if (--left[axis] > 0) break;
            left[axis] = row[0];
        }
    } while (axis < axes);
}
