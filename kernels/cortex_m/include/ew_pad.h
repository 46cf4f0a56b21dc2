/* Filling memory: what PAD and its kin write before the input is copied into the middle. */
#ifndef EW_PAD_H
#define EW_PAD_H

#include "ew_base.h"

typedef struct {
    uint32_t pattern; /* four bytes, in the order of memory on a little-endian machine */
    int32_t bytes;
} ew_fill_t;

/* out[i] = byte i % 4 of the pattern, 0 <= i < bytes. Any alignment. */
void ew_fill(const ew_fill_t *p, void *out);

#endif
