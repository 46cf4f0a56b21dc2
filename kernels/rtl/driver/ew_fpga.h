/* Running regions of a network on the accelerator, from a host module that TVM compiled.
 *
 * The host module calls ew_fpga_run() with a region's name. ew_fpga.c drives an accelerator behind memory-mapped
 * registers; a board with another interface provides a function of the same form instead. One caller at a time. */
#ifndef EW_FPGA_H
#define EW_FPGA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Registers of 32 bits, byte offsets. Addresses that programs contain are relative to BASE. */
enum {
    EW_FPGA_CONTROL = 0x00,    /* written: bit 0 starts, bit 1 holds the core in reset */
    EW_FPGA_STATUS = 0x04,     /* read: bit 0 done, bit 1 fault, bits 8 to 13 which faults */
    EW_FPGA_PROGRAM_AT = 0x08, /* address of the first instruction */
    EW_FPGA_LIMIT = 0x0C,      /* bytes of memory that the core may touch */
    EW_FPGA_BASE = 0x10,       /* bus address of the memory */
    EW_FPGA_REGISTER_BYTES = 0x1000
};

enum ew_fpga_status {
    EW_FPGA_OK = 0,
    EW_FPGA_NO_DEVICE = 1,      /* registers or memory cannot be mapped */
    EW_FPGA_NO_REGION = 2,      /* no region of that name */
    EW_FPGA_BAD_IMAGE = 3,      /* a region's image is missing, or has another size */
    EW_FPGA_FAULT = 4,          /* the core refused an instruction or an address */
    EW_FPGA_TIMEOUT = 5         /* it did not end in time */
};

/* Where a tensor lies in the memory. Tensors of the host are 1 x channels x height x width, int8 or uint8. */
typedef struct {
    uint32_t at, row_bytes, pixel_bytes;
    int32_t left;                    /* columns of `zero` in front of a raw row; -1: positions of pixel_bytes, not raw */
    uint16_t height, width, channels;
    int8_t zero;
    uint8_t offset;                  /* 128 where the host has uint8, else 0 */
} ew_fpga_port;

typedef struct {
    const char *symbol, *image;      /* image: name of the file below the folder of images */
    uint32_t image_bytes, program_at;
    const ew_fpga_port *inputs, *outputs;
    uint32_t input_count, output_count;
} ew_fpga_region;

/* Generated for each network (templates/regions.c.j2). */
extern const ew_fpga_region ew_fpga_regions[];
extern const uint32_t ew_fpga_region_count;

/* Map the device; devices and folders by the paths in EW_FPGA_REGISTERS (/dev/uio0), EW_FPGA_MEMORY (/dev/udmabuf0),
 * EW_FPGA_IMAGES (.), the memory's bus address in EW_FPGA_BASE (0), milliseconds to wait in EW_FPGA_TIMEOUT (1000).
 * Called by ew_fpga_run() when nobody has. */
int ew_fpga_open(void);
void ew_fpga_close(void);

/* Run one region: as many inputs and outputs as it has, dense, in its order. Returns an ew_fpga_status. */
int ew_fpga_run(const char *symbol, const void *const *inputs, void *const *outputs);

/* A status in words. */
const char *ew_fpga_message(int status);

#ifdef __cplusplus
}
#endif
#endif
