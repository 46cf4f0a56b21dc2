/* Runs a model on the host: inputs of N samples on standard input, outputs on standard output. */
#include <stdio.h>
#include <stdlib.h>

#include "edgewright_model.h"

int main(int count, char **words) {
    static edgewright_model_t model;
    int samples = count > 1 ? atoi(words[1]) : 1;
    edgewright_model_init(&model);
    for (int sample = 0; sample < samples; sample++) {
        for (int i = 0; i < EDGEWRIGHT_MODEL_INPUTS; i++) {
            size_t size = (size_t)edgewright_model_input_size[i];
            if (fread(edgewright_model_input(&model, i), 1, size, stdin) != size) return 2;
        }
        edgewright_model_run(&model);
        for (int i = 0; i < EDGEWRIGHT_MODEL_OUTPUTS; i++) {
            size_t size = (size_t)edgewright_model_output_size[i];
            if (fwrite(edgewright_model_output(&model, i), 1, size, stdout) != size) return 3;
        }
    }
    return 0;
}
