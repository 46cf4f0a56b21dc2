/* The firmware around a model: answers commands on the serial line.
 *
 * A frame, both ways, little-endian:
 *
 *     'E' 'W' | code u8 | tag u8 | length u32 | payload, length bytes | CRC u16
 *
 * The CRC is CRC-16/IBM-3740 (polynomial 0x1021, start 0xFFFF, not reflected) over everything between sync and CRC. An answer
 * has the code and the tag of its request; what went wrong has one of the codes from ERROR on. A payload that cannot be
 * right is refused before it is read. What is not a frame is skipped; a peer that lost count sends zeros until
 * whatever was waiting for a payload has had it, and goes on with an INFO of a new tag.
 *
 *     INFO    ->  u32: protocol version, tick rate in Hz, arena bytes, stack bytes, layers, digest of the build (2 words),
 *                 inputs, outputs; then the bytes of each input, of each output
 *     INIT    ->  ticks of edgewright_model_init u32
 *     RUN     inputs  ->  ticks u32, outputs
 *     LAYERS  inputs  ->  ticks of each layer u32
 *     STACK   ->  u32: the most that was ever used of the stack, in bytes
 *     FAULT   (unasked)  ->  u32: exception number, CFSR, HFSR, MMFAR, BFAR, pc, lr, sp
 */
#include "core.h"
#include "edgewright_model.h"
#include "firmware.h"
#include "port.h"

enum { VERSION = 1, PAINT = 0x57455745 };
enum { INFO = 1, INIT, RUN, LAYERS, STACK };
enum { BAD_CRC = 0xE0, BAD_LENGTH, BAD_COMMAND, FAULT };

/* The digest of the build: two symbols whose addresses, as the linker was told, are its words. */
extern const char ew_digest_0[], ew_digest_1[];

/* Not cleared at reset: edgewright_model_init writes what must have a value. */
static edgewright_model_t model __attribute__((section(".noinit.arena")));
static uint16_t crc;

static void crc_add(uint8_t byte) {
    uint32_t x = (uint32_t)(crc >> 8) ^ byte;
    x ^= x >> 4;
    crc = (uint16_t)(((uint32_t)crc << 8) ^ (x << 12) ^ (x << 5) ^ x);
}

static uint8_t get(void) {
    uint8_t byte = ew_port_getc();
    crc_add(byte);
    return byte;
}

static uint32_t get32(void) {
    uint32_t value = 0;
    for (int i = 0; i < 32; i += 8) value |= (uint32_t)get() << i;
    return value;
}

static void put(const void *data, int32_t bytes) {
    for (const uint8_t *byte = data; bytes > 0; bytes--, byte++) {
        crc_add(*byte);
        ew_port_putc(*byte);
    }
}

static void put32(uint32_t value) { put(&value, 4); }

static void begin(uint8_t code, uint8_t tag, int32_t length) {
    ew_port_putc('E');
    ew_port_putc('W');
    crc = 0xFFFF;
    put(&code, 1);
    put(&tag, 1);
    put32((uint32_t)length);
}

static void end(void) {
    uint16_t sum = crc;
    put(&sum, 2);
}

static void fail(uint8_t code, uint8_t tag) {
    begin(code, tag, 0);
    end();
}

static int32_t total(const int32_t *sizes, int32_t count) {
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) sum += sizes[i];
    return sum;
}

static void read_inputs(void) {
    for (int32_t i = 0; i < EDGEWRIGHT_MODEL_INPUTS; i++) {
        uint8_t *to = edgewright_model_input(&model, i);
        for (int32_t n = edgewright_model_input_size[i]; n > 0; n--) *to++ = get();
    }
}

static void info(uint8_t tag) {
    begin(INFO, tag, 4 * (9 + EDGEWRIGHT_MODEL_INPUTS + EDGEWRIGHT_MODEL_OUTPUTS));
    put32(VERSION);
    put32(ew_port_tick_hz());
    put32(EDGEWRIGHT_MODEL_ARENA_SIZE);
    put32((uint32_t)ew_stack_top - (uint32_t)ew_stack_low);
    put32(EDGEWRIGHT_MODEL_LAYERS);
    put32((uint32_t)ew_digest_0);
    put32((uint32_t)ew_digest_1);
    put32(EDGEWRIGHT_MODEL_INPUTS);
    put32(EDGEWRIGHT_MODEL_OUTPUTS);
    put(edgewright_model_input_size, 4 * EDGEWRIGHT_MODEL_INPUTS);
    put(edgewright_model_output_size, 4 * EDGEWRIGHT_MODEL_OUTPUTS);
}

void ew_mark(void) { __asm volatile("" ::: "memory"); }

static void init(uint8_t tag) {
    uint32_t start = ew_port_ticks();
    ew_mark();
    edgewright_model_init(&model);
    ew_mark();
    uint32_t ticks = ew_port_ticks() - start;
    begin(INIT, tag, 4);
    put32(ticks);
}

static void run(uint8_t tag) {
    uint32_t start = ew_port_ticks();
    ew_mark();
    edgewright_model_run(&model);
    ew_mark();
    uint32_t ticks = ew_port_ticks() - start;
    begin(RUN, tag, 4 + total(edgewright_model_output_size, EDGEWRIGHT_MODEL_OUTPUTS));
    put32(ticks);
    for (int32_t i = 0; i < EDGEWRIGHT_MODEL_OUTPUTS; i++)
        put(edgewright_model_output(&model, i), edgewright_model_output_size[i]);
}

static void layers(uint8_t tag) {
    begin(LAYERS, tag, 4 * EDGEWRIGHT_MODEL_LAYERS);
    for (int32_t i = 0; i < EDGEWRIGHT_MODEL_LAYERS; i++) {
        uint32_t start = ew_port_ticks();
        ew_mark();
        edgewright_model_run_layer(&model, i);
        ew_mark();
        put32(ew_port_ticks() - start);
    }
}

/* The stack is painted from its low end up to where it is now; what lost its paint was used. */
static void paint(void) {
    uint32_t *here = __builtin_frame_address(0);
    for (volatile uint32_t *word = ew_stack_low; word < here - 16; word++) *word = PAINT;
}

static void stack(uint8_t tag) {
    const volatile uint32_t *word = ew_stack_low;
    while (word < ew_stack_top && *word == PAINT) word++;
    begin(STACK, tag, 4);
    put32((uint32_t)ew_stack_top - (uint32_t)word);
}

static void answer(uint8_t code, uint8_t tag) {
    switch (code) {
        case INFO: info(tag); break;
        case INIT: init(tag); break;
        case RUN: run(tag); break;
        case LAYERS: layers(tag); break;
        default: stack(tag); break;
    }
    end();
}

static void command(void) {
    uint8_t before = 0, now = 0;
    while (before != 'E' || now != 'W') {
        before = now;
        now = ew_port_getc();
    }
    crc = 0xFFFF;
    uint8_t code = get(), tag = get();
    uint32_t length = get32();
    if (code < INFO || code > STACK) {
        fail(BAD_COMMAND, tag);
        return;
    }
    int has_inputs = code == RUN || code == LAYERS;
    if (length != (has_inputs ? (uint32_t)total(edgewright_model_input_size, EDGEWRIGHT_MODEL_INPUTS) : 0)) {
        fail(BAD_LENGTH, tag);
        return;
    }
    if (has_inputs) read_inputs();
    uint16_t wanted = crc;
    uint16_t seen = ew_port_getc();
    seen |= (uint16_t)(ew_port_getc() << 8);
    if (seen == wanted)
        answer(code, tag);
    else
        fail(BAD_CRC, tag);
}

void ew_main(void) {
    paint();
    ew_port_init();
    ew_mark();
    edgewright_model_init(&model);
    ew_mark();
    for (;;) command();
}

void ew_fault(const uint32_t *frame, uint32_t exception) {
    begin(FAULT, 0, 32);
    put32(exception);
    put32(EW_CFSR);
    put32(EW_HFSR);
    put32(EW_MMFAR);
    put32(EW_BFAR);
    int readable = frame >= ew_stack_low && frame + 8 <= ew_stack_top;
    put32(readable ? frame[6] : 0);
    put32(readable ? frame[5] : 0);
    put32((uint32_t)frame);
    end();
    ew_port_halt(1);
}
