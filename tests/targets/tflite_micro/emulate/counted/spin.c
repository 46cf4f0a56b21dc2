/* A model whose layers execute instructions that are known beforehand: layer n repeats a block of one kind as often as the
 * input says. */
#include "edgewright_model.h"

#include <string.h>

const int32_t edgewright_model_input_size[] = {STUB_BYTES, 4};
const int32_t edgewright_model_output_size[] = {STUB_BYTES, 4};

void edgewright_model_init(edgewright_model_t *model) { (void)model; }

void *edgewright_model_input(edgewright_model_t *model, int32_t index) { return model->arena + index * STUB_BYTES; }

const void *edgewright_model_output(const edgewright_model_t *model, int32_t index) {
    (void)index;
    return model->arena;
}

#define REPEAT(body) \
    __asm volatile("1: " body "subs %0, #1\n bne 1b\n" \
                   : "+l"(times), "+l"(address) : : "r4", "r5", "r6", "r7", "cc", "memory")

static void scalar(uint32_t times, uint8_t *address, int32_t layer) {
    if (layer == 0)
        REPEAT("ldr r4, [%1]\n ldr r5, [%1, #4]\n str r4, [%1]\n mul r4, r4, r5\n smull r4, r5, r4, r5\n");
    if (layer == 1)
        REPEAT("ldmia %1, {r4-r7}\n ldrd r4, r5, [%1]\n movs r4, #7\n udiv r5, r5, r4\n cbz r4, 2f\n b 2f\n nop\n 2:\n");
}

#ifdef __ARM_FEATURE_MVE
static void vector(uint32_t times, uint8_t *address) {
    __asm volatile(
        "wls lr, %0, 2f\n"
        "1: vldrw.u32 q0, [%1]\n"
        "vldrb.u8 q1, [%1]\n"
        "vmladava.s8 r4, q0, q1\n"
        "vmla.s32 q0, q1, r4\n"
        "vadd.i32 q0, q0, q1\n"
        "vctp.8 %0\n"
        "vpst\n"
        "vstrbt.8 q0, [%1]\n"
        "le lr, 1b\n"
        "2:\n" : "+l"(times), "+l"(address) : : "r4", "lr", "q0", "q1", "cc", "memory");
}
#elif defined(__ARM_FP)
static void vector(uint32_t times, uint8_t *address) {
    REPEAT("vldr s0, [%1]\n vmov.f32 s1, #1.0\n vadd.f32 s0, s0, s1\n vdiv.f32 s0, s1, s1\n vstr s0, [%1]\n");
}
#else
static void vector(uint32_t times, uint8_t *address) { (void)times, (void)address; }
#endif

void edgewright_model_run_layer(edgewright_model_t *model, int32_t layer) {
    uint32_t times;
    memcpy(&times, model->arena + STUB_BYTES, 4);
    if (layer < 2)
        scalar(times, model->arena, layer);
    else
        vector(times, model->arena);
}

void edgewright_model_run(edgewright_model_t *model) {
    for (int32_t i = 0; i < EDGEWRIGHT_MODEL_LAYERS; i++) edgewright_model_run_layer(model, i);
}
