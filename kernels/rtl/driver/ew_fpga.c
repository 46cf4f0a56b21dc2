/* The accelerator behind memory-mapped registers, with a block of memory that both sides see (uio and udmabuf on Linux). */
#include "ew_fpga.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile uint32_t *registers;
static uint8_t *memory;
static size_t memory_bytes;
static uint32_t base_address;
static long timeout_ms;
static const ew_fpga_region *loaded;

static const char *setting(const char *name, const char *otherwise)
{
    const char *found = getenv(name);
    return found ? found : otherwise;
}

/* Bytes of a mappable file; udmabuf tells its size in sysfs, a plain file by its length. */
static size_t size_of(const char *path, int file)
{
    struct stat about;
    if (fstat(file, &about) == 0 && about.st_size > 0)
        return (size_t)about.st_size;
    const char *name = strrchr(path, '/');
    char where[128];
    unsigned long size = 0;
    snprintf(where, sizeof where, "/sys/class/u-dma-buf/%s/size", name ? name + 1 : path);
    FILE *text = fopen(where, "r");
    if (text) {
        if (fscanf(text, "%lu", &size) != 1)
            size = 0;
        fclose(text);
    }
    return size;
}

static void *mapped(const char *path, size_t *bytes)
{
    int file = open(path, O_RDWR | O_SYNC);
    if (file < 0)
        return NULL;
    if (*bytes == 0)
        *bytes = size_of(path, file);
    void *found = *bytes ? mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
    close(file);
    return found == MAP_FAILED ? NULL : found;
}

int ew_fpga_open(void)
{
    size_t register_bytes = EW_FPGA_REGISTER_BYTES;
    if (registers)
        return EW_FPGA_OK;
    memory_bytes = 0;
    memory = mapped(setting("EW_FPGA_MEMORY", "/dev/udmabuf0"), &memory_bytes);
    registers = mapped(setting("EW_FPGA_REGISTERS", "/dev/uio0"), &register_bytes);
    base_address = (uint32_t)strtoul(setting("EW_FPGA_BASE", "0"), NULL, 0);
    timeout_ms = strtol(setting("EW_FPGA_TIMEOUT", "1000"), NULL, 10);
    if (memory && registers)
        return EW_FPGA_OK;
    ew_fpga_close();
    return EW_FPGA_NO_DEVICE;
}

void ew_fpga_close(void)
{
    if (registers)
        munmap((void *)registers, EW_FPGA_REGISTER_BYTES);
    if (memory)
        munmap(memory, memory_bytes);
    registers = NULL;
    memory = NULL;
    loaded = NULL;
}

/* A region's image, unless the one that ran last is in the memory still: programs do not change their own image. */
static int load(const ew_fpga_region *region)
{
    char path[512];
    if (loaded == region)
        return EW_FPGA_OK;
    loaded = NULL;
    snprintf(path, sizeof path, "%s/%s", setting("EW_FPGA_IMAGES", "."), region->image);
    FILE *file = fopen(path, "rb");
    if (!file || region->image_bytes > memory_bytes) {
        if (file)
            fclose(file);
        return EW_FPGA_BAD_IMAGE;
    }
    size_t count = fread(memory, 1, region->image_bytes, file);
    int longer = fgetc(file) != EOF;
    fclose(file);
    if (count != region->image_bytes || longer)
        return EW_FPGA_BAD_IMAGE;
    loaded = region;
    return EW_FPGA_OK;
}

/* Channels of one position to where the accelerator has them, or back. */
static void pack(const ew_fpga_port *port, const uint8_t *from)
{
    size_t plane = (size_t)port->height * port->width;
    for (uint32_t y = 0; y < port->height; y++) {
        uint8_t *row = memory + port->at + (size_t)y * port->row_bytes;
        memset(row, port->left >= 0 ? (uint8_t)port->zero : 0, port->row_bytes);
        size_t at = (size_t)(port->left > 0 ? port->left : 0) * port->channels;
        for (uint32_t x = 0; x < port->width; x++, at += port->pixel_bytes)
            for (uint32_t c = 0; c < port->channels && at + c < port->row_bytes; c++)
                row[at + c] = (uint8_t)(from[c * plane + (size_t)y * port->width + x] - port->offset);
    }
}

static void unpack(const ew_fpga_port *port, uint8_t *to)
{
    size_t plane = (size_t)port->height * port->width;
    for (uint32_t y = 0; y < port->height; y++) {
        const uint8_t *row = memory + port->at + (size_t)y * port->row_bytes;
        for (uint32_t x = 0; x < port->width; x++)
            for (uint32_t c = 0; c < port->channels; c++)
                to[c * plane + (size_t)y * port->width + x] = (uint8_t)(row[(size_t)x * port->pixel_bytes + c] + port->offset);
    }
}

static long elapsed_ms(const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)(now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/* Wait until one of the bits done and fault is set, or until none is; the status, or -1 when time is over. */
static int wait_for(int set)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        uint32_t status = registers[EW_FPGA_STATUS / 4] & 3;
        if ((status != 0) == set)
            return (int)status;
    } while (elapsed_ms(&start) <= timeout_ms);
    return -1;
}

static int execute(const ew_fpga_region *region)
{
    registers[EW_FPGA_CONTROL / 4] = 2;
    if (wait_for(0) < 0)
        return EW_FPGA_TIMEOUT;
    registers[EW_FPGA_PROGRAM_AT / 4] = region->program_at;
    registers[EW_FPGA_LIMIT / 4] = region->image_bytes;
    registers[EW_FPGA_BASE / 4] = base_address;
    __sync_synchronize();
    registers[EW_FPGA_CONTROL / 4] = 1;
    int status = wait_for(1);
    __sync_synchronize();
    return status < 0 ? EW_FPGA_TIMEOUT : status & 2 ? EW_FPGA_FAULT : EW_FPGA_OK;
}

int ew_fpga_run(const char *symbol, const void *const *inputs, void *const *outputs)
{
    const ew_fpga_region *region = NULL;
    for (uint32_t i = 0; i < ew_fpga_region_count && !region; i++)
        if (strcmp(ew_fpga_regions[i].symbol, symbol) == 0)
            region = &ew_fpga_regions[i];
    if (!region)
        return EW_FPGA_NO_REGION;
    int status = ew_fpga_open();
    if (status == EW_FPGA_OK)
        status = load(region);
    if (status != EW_FPGA_OK)
        return status;
    for (uint32_t i = 0; i < region->input_count; i++)
        pack(&region->inputs[i], inputs[i]);
    status = execute(region);
    for (uint32_t i = 0; status == EW_FPGA_OK && i < region->output_count; i++)
        unpack(&region->outputs[i], outputs[i]);
    if (status != EW_FPGA_OK)
        loaded = NULL;
    return status;
}

const char *ew_fpga_message(int status)
{
    static const char *const words[] = {
        "no error", "the accelerator's registers or memory cannot be mapped", "no region of that name",
        "the region's image is missing or has another size", "the accelerator refused an instruction or an address",
        "the accelerator did not end in time",
    };
    return status >= 0 && status < (int)(sizeof words / sizeof *words) ? words[status] : "an unknown error";
}
