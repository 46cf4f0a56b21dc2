/* A TCG plugin for QEMU (plugin interface 1, or 3 as EW_PLUGIN_API says) that counts what a Cortex-M executes, by class and phase.
 *
 *     -plugin ew_count.so,mark=ADDRESS,out=FILE[,mve=off]
 *
 * A phase ends whenever the instruction at ADDRESS is about to be executed (firmware: ew_mark). FILE gets JSON when QEMU ends:
 * one list of numbers per phase, in the order of CLASSES below. With mve=off, moves between core registers and parts of
 * a register of the extension are floating point; a core with vectors uses them for those.
 *
 * QEMU executes blocks: straight runs of instructions. Classes are counted when a block is translated, and multiplied by how
 * often it was executed when the phase ends. Instructions that a predicate or condition skips count as executed.
 *
 * Encodings: Armv8-M Architecture Reference Manual, DDI 0553, chapter C2.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef EW_PLUGIN_API
#define EW_PLUGIN_API 1
#endif

/* --- what is used of QEMU's plugin interface (https://www.qemu.org/docs/master/devel/tcg-plugins.html) --- */

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
typedef void (*tb_translated)(plugin_id, struct qemu_plugin_tb *);
typedef void (*tb_executed)(unsigned int, void *);
typedef void (*at_exit)(plugin_id, void *);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
#if EW_PLUGIN_API >= 3
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t bytes);
#else
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
#endif
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, tb_translated callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, tb_executed callback, int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, at_exit callback, void *data);

__attribute__((visibility("default"))) int qemu_plugin_version = EW_PLUGIN_API;
__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* --- classes --- */

#define CLASSES \
    X(ALU, "alu") X(MUL, "mul") X(MUL_LONG, "mul_long") X(DIV, "div") X(LOAD, "load") X(STORE, "store") \
    X(MULTIPLE, "multiple") X(BRANCH, "branch") X(LOOP, "loop") X(FP, "fp") X(FP_DIV, "fp_div") \
    X(MVE, "mve") X(MVE_LOAD, "mve_load") X(MVE_STORE, "mve_store")

enum {
#define X(name, text) name,
    CLASSES
#undef X
    KINDS,
    WORDS = KINDS, /* moved by MULTIPLE */
    PAIRED,        /* LOAD right behind a LOAD */
    TAKEN,         /* branches that were: BRANCH, and loads of the pc */
    COLUMNS
};

static const char *const names[] = {
#define X(name, text) text,
    CLASSES
#undef X
    "words", "paired", "taken"};

static bool has_mve = true;

static unsigned ones(unsigned bits) { return (unsigned)__builtin_popcount(bits); }

static int narrow(unsigned h, unsigned *words) {
    unsigned top = h >> 12;
    if ((h & 0xFFC0) == 0x4340) return MUL;
    if ((h & 0xFF00) == 0x4700) return BRANCH;
    if (h >> 11 == 9) return LOAD;
    if (top == 5) return (h >> 9 & 7) < 3 ? STORE : LOAD;
    if (top >= 6 && top <= 9) return h & 0x800 ? LOAD : STORE;
    if ((h & 0xF500) == 0xB100) return BRANCH; /* CBZ, CBNZ */
    if ((h & 0xF600) == 0xB400) {              /* PUSH, POP */
        *words = ones(h & 0x1FF);
        return MULTIPLE;
    }
    if (top == 0xC) {
        *words = ones(h & 0xFF);
        return MULTIPLE;
    }
    if (top == 0xD) return (h & 0xE00) == 0xE00 ? ALU : BRANCH;
    return h >> 11 == 0x1C ? BRANCH : ALU;
}

/* Floating point and vectors. A coprocessor number of 9 to 11 is scalar floating point, apart from moves between core
 * registers and vector lanes. */
static int extension(unsigned h, unsigned g, unsigned *words) {
    unsigned coprocessor = g >> 8 & 15;
    bool memory = (h & 0xFE00) == 0xEC00 && (h & 0x1A0), load = h & 0x10;
    if (coprocessor < 9 || coprocessor > 11 || (h & 0xFF00) == 0xEF00 || (h & 0xFF00) == 0xFF00) {
        bool vector_memory = (h & 0xEE00) == 0xEC00 && (h & 0x1A0) && coprocessor >= 14;
        if (vector_memory) return load ? MVE_LOAD : MVE_STORE;
        return MVE;
    }
    if (memory && (h & 0x120) == 0x100) return load ? LOAD : STORE;
    if (memory) {
        *words = g & 0xFF;
        return MULTIPLE;
    }
    if ((h & 0xFF00) == 0xEE00) {
        if (has_mve && coprocessor == 11 && (g & 0x1F) == 0x10) return MVE; /* VDUP, VMOV of a lane */
        if ((h & 0xFFE0) == 0xEEE0 && (g & 0xFFF) == 0xA10 && (h & 14) == 12) return MVE; /* VMSR, VMRS of VPR */
        if ((h & 0xFFB0) == 0xEE80 && !(g & 0x40)) return FP_DIV;
        if ((h & 0xFFBF) == 0xEEB1 && (g & 0xD0) == 0xC0) return FP_DIV; /* VSQRT */
    }
    return FP;
}

static int wide(unsigned h, unsigned g, unsigned *words) {
    if ((h & 0xEC00) == 0xEC00) return extension(h, g, words);
    if ((h & 0xFE40) == 0xE800) {
        *words = ones(g);
        return MULTIPLE;
    }
    if ((h & 0xFE40) == 0xE840) {
        if (h & 0x120) { /* LDRD, STRD */
            *words = 2;
            return MULTIPLE;
        }
        return (h & 0xFFF0) == 0xE8D0 && !(g & 0xE0) ? BRANCH : h & 0x10 ? LOAD : STORE; /* TBB, TBH; exclusive */
    }
    if (h >> 11 == 0x1E && g & 0x8000) {
        unsigned kind = g & 0x5000;
        if (kind == 0x4000) return g == 0xE801 ? MVE : LOOP; /* VCTP; DLS, WLS, LE and LETP */
        if (kind == 0x0000) return (h & 0x380) == 0x380 ? ALU : BRANCH;
        return BRANCH;
    }
    if ((h & 0xFE00) == 0xF800) return h & 0x10 ? LOAD : STORE;
    if ((h & 0xFF80) == 0xFB00) return MUL;
    if ((h & 0xFF80) == 0xFB80) return (h & 0xFFD0) == 0xFB90 && (g & 0xF0) == 0xF0 ? DIV : MUL_LONG;
    return ALU;
}

/* --- blocks and phases --- */

typedef struct block {
    struct block *next;
    uint64_t start, end, executed, taken;
    bool loops; /* ends with LE or LETP, whose way back is no branch */
    uint32_t counts[TAKEN];
} block_t;

typedef struct phase {
    struct phase *next;
    uint64_t counts[COLUMNS];
} phase_t;

static uint64_t mark_address;
static const char *out_path;
static block_t *blocks;
static block_t *last;
static phase_t *first_phase, *phase;

static void *make(size_t bytes) {
    void *made = calloc(1, bytes);
    if (made == NULL) abort();
    return made;
}

static void next_phase(void) {
    phase_t *made = make(sizeof *made);
    *(phase ? &phase->next : &first_phase) = made;
    phase = made;
}

static void close_phase(void) {
    for (block_t *block = blocks; block != NULL; block = block->next) {
        for (int i = 0; i < TAKEN; i++) phase->counts[i] += block->executed * block->counts[i];
        phase->counts[TAKEN] += block->taken;
        block->executed = block->taken = 0;
    }
}

static void executed(unsigned int cpu, void *data) {
    block_t *block = data;
    (void)cpu;
    if (block->start == mark_address) {
        close_phase();
        next_phase();
    }
    if (last && last->end != block->start && !last->loops) last->taken++;
    block->executed++;
    last = block;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb) {
    block_t *block = make(sizeof *block);
    size_t count = qemu_plugin_tb_n_insns(tb);
    int before = ALU;
    (void)id;
    block->start = block->end = qemu_plugin_tb_vaddr(tb);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        size_t size = qemu_plugin_insn_size(insn);
        uint16_t half[2] = {0, 0};
        unsigned words = 0;
#if EW_PLUGIN_API >= 3
        qemu_plugin_insn_data(insn, half, sizeof half);
#else
        memcpy(half, qemu_plugin_insn_data(insn), size < 4 ? size : 4);
#endif
        int kind = size == 2 ? narrow(half[0], &words) : wide(half[0], half[1], &words);
        block->counts[kind]++;
        block->counts[WORDS] += words;
        block->counts[PAIRED] += kind == LOAD && before == LOAD;
        before = kind;
        block->loops = kind == LOOP;
        block->end += size;
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, block);
}

static void report(plugin_id id, void *data) {
    FILE *out = fopen(out_path, "w");
    (void)id;
    (void)data;
    if (out == NULL) return;
    close_phase();
    fprintf(out, "{\"classes\": [");
    for (int i = 0; i < COLUMNS; i++) fprintf(out, "%s\"%s\"", i ? ", " : "", names[i]);
    fprintf(out, "], \"phases\": [");
    for (phase_t *p = first_phase; p != NULL; p = p->next) {
        fprintf(out, "%s\n[", p == first_phase ? "" : ",");
        for (int i = 0; i < COLUMNS; i++) fprintf(out, "%s%" PRIu64, i ? ", " : "", p->counts[i]);
        fprintf(out, "]");
    }
    fprintf(out, "]}\n");
    fclose(out);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "mark=", 5) == 0) mark_address = strtoull(argv[i] + 5, NULL, 0);
        if (strcmp(argv[i], "mve=off") == 0) has_mve = false;
        if (strncmp(argv[i], "out=", 4) == 0) out_path = argv[i] + 4;
    }
    if (out_path == NULL) return 1;
    next_phase();
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, report, NULL);
    return 0;
}
