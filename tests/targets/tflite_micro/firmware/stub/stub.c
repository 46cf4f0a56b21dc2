/* Input 0 has STUB_BYTES bytes, input 1 four: what the model does besides. Output 0 is input 0 plus one; output 1 counts the
 * runs since init. Layer 0 copies, layer 1 adds, layer 2 counts, or misbehaves as input 1 says. */
#include "edgewright_model.h"

#include <string.h>

#define ROLE(role) __attribute__((section(".rodata.edgewright." role)))

static const int32_t none[4] ROLE("bias.none") = {0, 0, 0, 0};
#ifdef STUB_TABLE
/* Constants that do not fit into the first memory; the last one is 1. */
static const int8_t table[STUB_TABLE] ROLE("weights.table") = {[STUB_TABLE - 1] = 1};
#define STEP(i) (table[STUB_TABLE - 1])
#else
static const int8_t steps[8] ROLE("weights.steps") = {1, 1, 1, 1, 1, 1, 1, 1};
#define STEP(i) (steps[(i) % 8])
#endif

static volatile uint32_t in_data = 0x12345678;
static volatile uint32_t in_bss;

const int32_t edgewright_model_input_size[] = {STUB_BYTES, 4};
const int32_t edgewright_model_output_size[] = {STUB_BYTES, 4};

enum { NOTHING, READ_NOWHERE, DIVIDE_BY_ZERO, JUMP_NOWHERE, HANG, DEEP, UNDEFINED };

void edgewright_model_init(edgewright_model_t *model) {
    memset(model->arena + 2 * STUB_BYTES + 8, 0, 4);
    if (in_data != 0x12345678 || in_bss != 0) __asm volatile("udf #1");
}

void *edgewright_model_input(edgewright_model_t *model, int32_t index) {
    return model->arena + (index ? 2 * STUB_BYTES : 0);
}

const void *edgewright_model_output(const edgewright_model_t *model, int32_t index) {
    return model->arena + (index ? 2 * STUB_BYTES + 8 : STUB_BYTES);
}

__attribute__((noinline)) static uint32_t deep(uint32_t n) {
    volatile uint8_t room[64];
    room[n % 64] = (uint8_t)n;
    return n == 0 ? room[0] : deep(n - 1) + room[n % 64];
}

static void misbehave(uint32_t how, uint32_t amount) {
    if (how == READ_NOWHERE) in_bss = *(volatile uint32_t *)0xA0000004u;
    if (how == DIVIDE_BY_ZERO) *(volatile uint32_t *)0xE000ED14u |= 16, in_bss = 1000u / in_bss;
    if (how == JUMP_NOWHERE) ((void (*)(void))0xA0000001u)();
    if (how == HANG)
        for (;;) in_data++;
    if (how == DEEP) in_bss = deep(amount), in_bss = 0;
    if (how == UNDEFINED) __asm volatile("udf #1");
}

void edgewright_model_run_layer(edgewright_model_t *model, int32_t layer) {
    uint8_t *a = model->arena;
    uint32_t word, runs;
    if (layer == 0) memcpy(a + STUB_BYTES, a, STUB_BYTES);
    if (layer == 1)
        for (int32_t i = 0; i < STUB_BYTES; i++) a[STUB_BYTES + i] = (uint8_t)(a[STUB_BYTES + i] + STEP(i) + none[i % 4]);
    if (layer == 2) {
        memcpy(&word, a + 2 * STUB_BYTES, 4);
        memcpy(&runs, a + 2 * STUB_BYTES + 8, 4);
        runs++;
        memcpy(a + 2 * STUB_BYTES + 8, &runs, 4);
        misbehave(word & 0xFF, word >> 8);
    }
}

void edgewright_model_run(edgewright_model_t *model) {
    for (int32_t i = 0; i < EDGEWRIGHT_MODEL_LAYERS; i++) edgewright_model_run_layer(model, i);
}
