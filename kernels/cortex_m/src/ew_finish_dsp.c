#include "ew_dsp.h"

#if defined(EW_DSP)

int32_t ew_dsp_finish(int32_t sum, const int32_t *bias_multiplier, int32_t step, int32_t zero) {
    int32_t bias = bias_multiplier[0], multiplier = bias_multiplier[1];
    if (step >= 0) {
        int32_t twice = (int32_t)((uint32_t)bias + 2 * (uint32_t)sum);
        return ew_dsp_quick(twice, multiplier, step, (int32_t)((uint32_t)zero << step));
    }
    int32_t value = ew_requantize(ew_add32(sum, bias), multiplier, step + 64);
    return ew_clamp(ew_add32(value, zero >> 1), -128, 127);
}

#endif
