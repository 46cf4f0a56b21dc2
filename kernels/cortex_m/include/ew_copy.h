/* Moving elements: any operator whose output is elements of its input at other places, described by strides.
 *
 *     out[out_offset + sum i[k] * out_step[k] + b] = in[in_offset + sum i[k] * in_step[k] + b]
 *
 * for all i with 0 <= i[k] < count[k] and 0 <= b < run. Offsets and steps are in bytes and may be negative or
 * (in_step) zero; elements are of any size and have no alignment. The first axis is walked fastest, and each run is
 * moved from its first byte to its last: the output may overwrite what was read (Call.overlap).
 */
#ifndef EW_COPY_H
#define EW_COPY_H

#include "ew_base.h"

#if defined(EW_MVE)
#include <arm_mve.h>
#endif

#define EW_COPY_AXES 6

typedef struct {
    const int32_t *axes;           /* `rank` times count, in_step, out_step; the fastest first */
    int32_t in_offset, out_offset;
    int32_t run;                   /* bytes, at least 1 */
    int32_t rank;                  /* 1 to EW_COPY_AXES */
} ew_copy_t;

void ew_copy(const ew_copy_t *p, const void *in, void *out);

/* Move n bytes from first to last; right for ranges that overlap when out <= in. */
EW_INLINE void ew_move(int8_t *out, const int8_t *in, int32_t n) {
#if defined(EW_MVE)
    for (; n >= 16; n -= 16, in += 16, out += 16) vstrbq_s8(out, vldrbq_s8(in));
    mve_pred16_t rest = vctp8q((uint32_t)n);
    vstrbq_p_s8(out, vldrbq_z_s8(in, rest), rest);
#else
    for (; n >= 4; n -= 4, in += 4, out += 4) {
        uint32_t word;
        memcpy(&word, in, 4);
        memcpy(out, &word, 4);
    }
    for (; n > 0; n--) *out++ = *in++;
#endif
}

#endif
