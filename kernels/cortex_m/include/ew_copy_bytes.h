/* COPY: `count` bytes from one place to another; the two must not overlap. */
#ifndef EW_COPY_BYTES_H
#define EW_COPY_BYTES_H

#include "ew_base.h"

typedef struct {
    int32_t count;
} ew_copy_bytes_t;

void ew_copy_bytes(const ew_copy_bytes_t *p, const void *in, void *out);

#endif
