/* A port of a real board, compiled for this machine: the chip's registers are memory at their own addresses, and a thread does
 * what the chip would do when a register is written. Orders come from the standard input, numbers in any base of strtoul:
 *
 *     map ADDRESS BYTES            registers are here; all else faults
 *     set ADDRESS VALUE
 *     rule N (ADDRESS MASK VALUE) x N  ADDRESS MASK VALUE
 *                                  while all N hold, the bits of the last are so
 *     count ADDRESS ADDRESS MASK   the first counts while all bits of the mask are set in the second
 *     init | putc BYTE | getc | ticks | get ADDRESS     calls; answers are decimal lines
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Barriers of the other processor are nothing here. */
__asm(".macro dsb\n .endm\n .macro isb\n .endm\n");

void ew_port_init(void);
uint8_t ew_port_getc(void);
void ew_port_putc(uint8_t byte);
uint32_t ew_port_ticks(void);

typedef struct {
    uint32_t address, mask, value;
} machine_bits_t;

static struct {
    machine_bits_t conditions[4], effect;
    uint32_t count;
} machine_rules[16];
static machine_bits_t machine_counter; /* value: the address of the enable bits */
static uint32_t machine_rule_count;

static volatile uint32_t *machine_at(uint32_t address) { return (volatile uint32_t *)(uintptr_t)address; }

static int machine_holds(const machine_bits_t *bits) { return (*machine_at(bits->address) & bits->mask) == bits->value; }

static void *machine_chip(void *unused) {
    for (;;) {
        for (uint32_t i = 0; i < machine_rule_count; i++) {
            uint32_t held = 0;
            while (held < machine_rules[i].count && machine_holds(&machine_rules[i].conditions[held])) held++;
            const machine_bits_t *effect = &machine_rules[i].effect;
            if (held == machine_rules[i].count && !machine_holds(effect))
                *machine_at(effect->address) = (*machine_at(effect->address) & ~effect->mask) | effect->value;
        }
        if (machine_counter.address && (*machine_at(machine_counter.value) & machine_counter.mask) == machine_counter.mask)
            *machine_at(machine_counter.address) += 40;
    }
    return unused;
}

static uint32_t machine_number(void) {
    char word[64];
    if (scanf("%63s", word) != 1) exit(2);
    return (uint32_t)strtoul(word, NULL, 0);
}

static machine_bits_t machine_bits(void) {
    machine_bits_t bits;
    bits.address = machine_number();
    bits.mask = machine_number();
    bits.value = machine_number();
    return bits;
}

static void machine_order(const char *word) {
    if (!strcmp(word, "map")) {
        uint32_t address = machine_number(), bytes = machine_number();
        void *wanted = (void *)(uintptr_t)address;
        int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        if (mmap(wanted, bytes, PROT_READ | PROT_WRITE, how, -1, 0) != wanted) exit(3);
    } else if (!strcmp(word, "set")) {
        uint32_t address = machine_number();
        *machine_at(address) = machine_number();
    } else if (!strcmp(word, "rule")) {
        uint32_t count = machine_rules[machine_rule_count].count = machine_number();
        for (uint32_t i = 0; i < count; i++) machine_rules[machine_rule_count].conditions[i] = machine_bits();
        machine_rules[machine_rule_count++].effect = machine_bits();
    } else if (!strcmp(word, "count")) {
        machine_counter.address = machine_number();
        machine_counter.value = machine_number();
        machine_counter.mask = machine_number();
    } else if (!strcmp(word, "init")) {
        pthread_t chip;
        if (pthread_create(&chip, NULL, machine_chip, NULL)) exit(4);
        ew_port_init();
    } else if (!strcmp(word, "putc")) {
        ew_port_putc((uint8_t)machine_number());
    } else if (!strcmp(word, "getc")) {
        printf("%u\n", (unsigned)ew_port_getc());
    } else if (!strcmp(word, "ticks")) {
        printf("%u\n", (unsigned)ew_port_ticks());
    } else if (!strcmp(word, "get")) {
        printf("%u\n", (unsigned)*machine_at(machine_number()));
    } else {
        exit(5);
    }
}

int main(void) {
    char word[64];
    while (scanf("%63s", word) == 1) machine_order(word);
    return 0;
}
