/* A model that was compiled with TVM, as a C library without TVM's runtime.
 *
 * One instance, one thread at a time. Inputs and outputs lie in memory of the library: write the inputs to
 * ew_tvm_input(), call ew_tvm_run(), read the outputs from ew_tvm_output(). Inputs keep their values from run to run.
 * Values are in the layout and type that the bundle's manifest names. */
#ifndef EW_TVM_H
#define EW_TVM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int32_t ew_tvm_inputs(void);
int32_t ew_tvm_outputs(void);

/* Addresses are aligned to 64 bytes and stay the same; NULL or 0 for an index that does not exist. */
void* ew_tvm_input(int32_t index);
int64_t ew_tvm_input_bytes(int32_t index);
const void* ew_tvm_output(int32_t index);
int64_t ew_tvm_output_bytes(int32_t index);

/* One inference: 0, or -1 after an error, which ew_tvm_error() tells in words. */
int32_t ew_tvm_run(void);
const char* ew_tvm_error(void);

/* One inference with the seconds of each step by the monotonic clock; `seconds` has room for ew_tvm_steps(). */
int32_t ew_tvm_steps(void);
const char* ew_tvm_step_name(int32_t index);
int32_t ew_tvm_run_timed(double* seconds);

/* Bytes of memory that the model's values take, and the most that kernels have asked for beside it so far. */
int64_t ew_tvm_arena_bytes(void);
int64_t ew_tvm_workspace_bytes(void);

#ifdef __cplusplus
}
#endif

#endif
