/* Requantization for the host's tests: the kernels' functions, callable. */
#include "ew_dsp.h"
#include "ew_once.h"

int32_t finish(int32_t sum, const int32_t *bias_multiplier, int32_t step, int32_t zero) {
    return ew_dsp_finish(sum, bias_multiplier, step, zero);
}

int32_t twice(int32_t acc, int32_t multiplier, int32_t shift) { return ew_requantize(acc, multiplier, shift); }

int32_t once(int32_t acc, const int32_t *multiplier, int32_t shift, int32_t fine) {
    return ew_round_once(acc, multiplier, shift, fine);
}
