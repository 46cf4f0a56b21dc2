/* The plugin's decoder as a function, for the test that compares it with a disassembler. */
#include "ew_count.c"

__attribute__((visibility("default"))) const char *classify(unsigned first, unsigned second, int size, unsigned *words) {
    *words = 0;
    return names[size == 2 ? narrow(first, words) : wide(first, second, words)];
}
