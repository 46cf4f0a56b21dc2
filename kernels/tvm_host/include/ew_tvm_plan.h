// What the generated plan (templates/ew_tvm_plan.cpp.j2) hands to the executor, and what TVM's kernels expect.
#pragma once

#include <cstdint>

// TVM's calling convention for kernels: tvm/ffi/c_api.h (TVMFFIAny, TVMFFISafeCallType) and dlpack/dlpack.h (DLTensor).
struct EwTensor {
    void* data;
    int32_t device_type, device_id;
    int32_t dims;
    uint8_t type_code, type_bits;
    uint16_t type_lanes;
    int64_t* shape;
    int64_t* strides;
    uint64_t byte_offset;
};

struct EwAny {
    int32_t type_index;
    uint32_t padding;
    union {
        EwTensor* tensor;
        int64_t whole;  // the union has 8 bytes where pointers have 4
    };
};

using EwKernel = int (*)(void* self, const EwAny* args, int32_t count, EwAny* result);

constexpr int32_t kEwTensorIndex = 7;  // kTVMFFIDLTensorPtr
constexpr int32_t kEwCpu = 1;          // kDLCPU

// `constant` values lie in ew_constants, all others in ew_arena.
struct EwValue {
    bool constant;
    int64_t offset, bytes;
    uint8_t type_code, type_bits;
    int32_t dims;
    int64_t* shape;
    int64_t* strides;
};

struct EwStep {
    const char* name;
    EwKernel kernel;
    int32_t first, count;  // of ew_arguments
};

extern const char ew_constants[];
extern char ew_arena[];
extern const int64_t ew_arena_size;
extern const EwValue ew_values[];
extern const int32_t ew_value_count;
extern const EwStep ew_steps[];
extern const int32_t ew_step_count;
extern const int32_t ew_arguments[];
extern const int32_t ew_argument_count;
extern const int32_t ew_inputs[];
extern const int32_t ew_input_count;
extern const int32_t ew_outputs[];
extern const int32_t ew_output_count;

// One entry for each of ew_values and of ew_arguments.
extern EwTensor ew_tensors[];
extern EwAny ew_any[];
