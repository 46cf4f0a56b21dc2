#include "ew_copy_bytes.h"

void ew_copy_bytes(const ew_copy_bytes_t *p, const void *in, void *out) { memcpy(out, in, (size_t)p->count); }
