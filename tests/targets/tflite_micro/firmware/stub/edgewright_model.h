/* A stand-in for a generated model: the output is the input plus one, in three layers. */
#ifndef EDGEWRIGHT_MODEL_H
#define EDGEWRIGHT_MODEL_H

#include <stdint.h>

#ifndef STUB_BYTES
#define STUB_BYTES 3072
#endif
#define EDGEWRIGHT_MODEL_ARENA_SIZE (2 * STUB_BYTES + 16)
#define EDGEWRIGHT_MODEL_INPUTS 2
#define EDGEWRIGHT_MODEL_OUTPUTS 2
#define EDGEWRIGHT_MODEL_LAYERS 3

typedef struct {
    uint8_t arena[EDGEWRIGHT_MODEL_ARENA_SIZE] __attribute__((aligned(16)));
} edgewright_model_t;

extern const int32_t edgewright_model_input_size[EDGEWRIGHT_MODEL_INPUTS];
extern const int32_t edgewright_model_output_size[EDGEWRIGHT_MODEL_OUTPUTS];

void edgewright_model_init(edgewright_model_t *model);
void *edgewright_model_input(edgewright_model_t *model, int32_t index);
void edgewright_model_run(edgewright_model_t *model);
const void *edgewright_model_output(const edgewright_model_t *model, int32_t index);
void edgewright_model_run_layer(edgewright_model_t *model, int32_t layer);

#endif
