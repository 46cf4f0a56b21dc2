#include "ew_pad.h"

void ew_fill(const ew_fill_t *p, void *out) {
    int8_t *at = out;
    uint32_t pattern = p->pattern;
    int32_t left = p->bytes;
    for (; left >= 4; left -= 4, at += 4) memcpy(at, &pattern, 4);
    for (; left > 0; left--, pattern >>= 8) *at++ = (int8_t)(uint8_t)pattern;
}
