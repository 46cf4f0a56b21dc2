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
 *     INFO    ->  u32: protocol version, tick rate in Hz, bytes of arena and stack, layers, digest of the build (2 words),
 *                 inputs, outputs; then the bytes of each input, of each output
 *     INIT    ->  ticks of edgewright_model_init u32
 *     RUN     inputs  ->  ticks u32, outputs
 *     LAYERS  inputs  ->  ticks of each layer u32
 *     STACK   ->  u32: the most that was ever used of the stack, in bytes
 *     FAULT   (unasked)  ->  u32: exception number, sp, CFSR, HFSR, DFSR, MMFAR, BFAR; r0-r3, r12, lr, pc, psr as the core
 *                 stacked them, where sp was in the stack
 */
#include "core.h"
#include "edgewright_model.h"
#include "firmware.h"
#include "port.h"

enum { VERSION = 1, PAINT = 0x57455745 };
enum { INFO = 1, INIT, RUN, LAYERS, STACK };
enum { BAD_CRC = 0xE0, BAD_LENGTH, BAD_COMMAND, FAULT };
enum { INPUTS = EDGEWRIGHT_MODEL_INPUTS, OUTPUTS = EDGEWRIGHT_MODEL_OUTPUTS };

/* Numbers that the linker was told, as addresses of symbols: the size of the stack, the digest of the build. */
extern const char ew_stack_bytes[], ew_digest_0[], ew_digest_1[];

/* Not cleared at reset: edgewright_model_init writes what must have a value. */
static edgewright_model_t model __attribute__((section(".noinit.arena")));
static uint32_t crc;

static void crc_add(uint32_t byte) {
    uint32_t x = (crc >> 8) ^ byte;
    x ^= x >> 4;
    crc = (uint16_t)((crc << 8) ^ (x << 12) ^ (x << 5) ^ x);
}

static void get(void *data, int32_t bytes) {
    for (uint8_t *to = data; bytes > 0; bytes--) {
        uint8_t byte = ew_port_getc();
        crc_add(byte);
        *to++ = byte;
    }
}

static void put(const void *data, int32_t bytes) {
    for (const uint8_t *from = data; bytes > 0; bytes--) {
        uint8_t byte = *from++;
        crc_add(byte);
        ew_port_putc(byte);
    }
}

static void put32(uint32_t value) { put(&value, 4); }

typedef struct __attribute__((packed)) {
    uint8_t code, tag;
    uint32_t length;
} header_t;

static void begin(uint32_t code, uint32_t tag, uint32_t length) {
    header_t header = {(uint8_t)code, (uint8_t)tag, length};
    ew_port_putc('E');
    ew_port_putc('W');
    crc = 0xFFFF;
    put(&header, sizeof header);
}

static void end(void) {
    uint32_t sum = crc; /* which sending changes */
    put(&sum, 2);
}

static uint32_t total(const int32_t *sizes, int32_t count) {
    int32_t sum = 0;
    while (count > 0) sum += sizes[--count];
    return (uint32_t)sum;
}

/* The ticks of one call of `work`, between two marks. */
static uint32_t timed(void (*work)(edgewright_model_t *, int32_t), int32_t argument) {
    uint32_t start = ew_port_ticks();
    ew_mark();
    work(&model, argument);
    ew_mark();
    return ew_port_ticks() - start;
}

void ew_mark(void) { __asm volatile("" ::: "memory"); }

static void init(edgewright_model_t *m, int32_t unused) {
    (void)unused;
    edgewright_model_init(m);
}

static void run(edgewright_model_t *m, int32_t unused) {
    (void)unused;
    edgewright_model_run(m);
}

static void info(void) {
    static const uint32_t words[9] = {
        VERSION, EW_PORT_TICK_HZ, EDGEWRIGHT_MODEL_ARENA_SIZE, (uint32_t)ew_stack_bytes, EDGEWRIGHT_MODEL_LAYERS,
        (uint32_t)ew_digest_0, (uint32_t)ew_digest_1, INPUTS, OUTPUTS,
    };
    put(words, sizeof words);
    put(edgewright_model_input_size, 4 * INPUTS);
    put(edgewright_model_output_size, 4 * OUTPUTS);
}

/* The stack is painted from its low end up to where it is now; what lost its paint was used. */
static void paint(void) {
    for (uint32_t *word = ew_stack_low; word < (uint32_t *)__builtin_frame_address(0) - 16; word++)
        *(volatile uint32_t *)word = PAINT;
}

static uint32_t stack_used(void) {
    const volatile uint32_t *word = ew_stack_low;
    while (word < ew_stack_top && *word == PAINT) word++;
    return (uint32_t)ew_stack_top - (uint32_t)word;
}

static void answer(uint32_t code, uint32_t tag) {
    uint32_t ticks = code == RUN ? timed(run, 0) : code == INIT ? timed(init, 0) : stack_used();
    uint32_t length = 4;
    if (code == INFO) length = 4 * (9 + INPUTS + OUTPUTS);
    if (code == RUN) length += total(edgewright_model_output_size, OUTPUTS);
    if (code == LAYERS) length = 4 * EDGEWRIGHT_MODEL_LAYERS;
    begin(code, tag, length);
    if (code == INFO) {
        info();
    } else if (code == LAYERS) {
        for (int32_t i = 0; i < EDGEWRIGHT_MODEL_LAYERS; i++) put32(timed(edgewright_model_run_layer, i));
    } else {
        put32(ticks);
        for (int32_t i = 0; i < OUTPUTS && code == RUN; i++)
            put(edgewright_model_output(&model, i), edgewright_model_output_size[i]);
    }
}

/* Waits for a request, and answers it. */
static void serve(void) {
    header_t header;
    for (uint32_t last = 0; last != ('E' << 8 | 'W');) last = (uint16_t)(last << 8 | ew_port_getc());
    crc = 0xFFFF;
    get(&header, sizeof header);
    int has_inputs = header.code == RUN || header.code == LAYERS;
    uint32_t problem = 0;
    if (header.code < INFO || header.code > STACK)
        problem = BAD_COMMAND;
    else if (header.length != (has_inputs ? total(edgewright_model_input_size, INPUTS) : 0))
        problem = BAD_LENGTH;
    else {
        for (int32_t i = 0; i < INPUTS && has_inputs; i++)
            get(edgewright_model_input(&model, i), edgewright_model_input_size[i]);
        uint32_t wanted = crc, seen = 0;
        get(&seen, 2);
        if (seen != wanted) problem = BAD_CRC;
    }
    if (problem)
        begin(problem, header.tag, 0);
    else
        answer(header.code, header.tag);
    end();
}

void ew_main(void) {
    ew_mark();
    paint();
    ew_port_init();
    timed(init, 0);
    for (;;) serve();
}

void ew_fault(const uint32_t *frame, uint32_t exception) {
    int readable = frame >= ew_stack_low && frame + 8 <= ew_stack_top;
    begin(FAULT, 0, 4 * (readable ? 15 : 7));
    put32(exception);
    put32((uint32_t)frame);
    for (uint32_t i = 0; i < 5; i++) put32((&EW_CFSR)[i]);
    if (readable) put(frame, 32);
    end();
    ew_port_halt(1);
}
