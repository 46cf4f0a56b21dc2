/* Calls memcpy, memmove and memset as the input says, on a buffer that is input and output. */
#include "edgewright_model.h"

#include <string.h>

const int32_t edgewright_model_input_size[] = {STUB_BYTES, 16};
const int32_t edgewright_model_output_size[] = {STUB_BYTES, 4};

void edgewright_model_init(edgewright_model_t *model) { (void)model; }

void *edgewright_model_input(edgewright_model_t *model, int32_t index) {
    return model->arena + (index ? STUB_BYTES : 0);
}

const void *edgewright_model_output(const edgewright_model_t *model, int32_t index) {
    return model->arena + (index ? STUB_BYTES + 16 : 0);
}

void edgewright_model_run(edgewright_model_t *model) {
    uint8_t *a = model->arena;
    uint32_t words[4], good;
    void *result = 0;
    __builtin_memcpy(words, a + STUB_BYTES, 16);
    uint32_t what = words[0], to = words[1], from = words[2], bytes = words[3];
    if (what == 0) result = memcpy(a + to, a + from, bytes);
    if (what == 1) result = memmove(a + to, a + from, bytes);
    if (what == 2) result = memset(a + to, (int)from, bytes);
    good = result == a + to;
    __builtin_memcpy(a + STUB_BYTES + 16, &good, 4);
}

void edgewright_model_run_layer(edgewright_model_t *model, int32_t layer) { (void)model, (void)layer; }
