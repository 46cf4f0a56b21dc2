// Kernels for tests of the host: they add, ask for scratch memory, or fail.
#include <cstring>

#include "ew_tvm_plan.h"

extern "C" {

void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int) __attribute__((weak));
int (*__TVMBackendFreeWorkspace)(int, int, void*) __attribute__((weak));
int (*__TVMBackendParallelLaunch)(int (*)(int, void*, void*), void*, int) __attribute__((weak));
void TVMFFIErrorSetRaisedFromCStrParts(const char*, const char**, int32_t);

static float* floats(const EwAny& any) { return static_cast<float*>(any.tensor->data); }

static int double_all(int, void* group, void* closure) {
    const int32_t tasks = *reinterpret_cast<int32_t*>(static_cast<char*>(group) + sizeof(void*));
    auto* tensor = static_cast<EwTensor*>(closure);
    for (int64_t i = 0; i < tensor->shape[0]; ++i) static_cast<float*>(tensor->data)[i] *= static_cast<float>(2 * tasks);
    return 0;
}

// out = 2 * (a + b), by way of scratch memory and a parallel loop.
int __tvm_ffi_ewk_add(void*, const EwAny* args, int32_t count, EwAny*) {
    const int64_t size = args[0].tensor->shape[0];
    if (count != 3 || args[0].type_index != 7 || args[0].tensor->strides[0] != 1) return -1;
    auto* scratch = static_cast<float*>(__TVMBackendAllocWorkspace(1, 0, static_cast<uint64_t>(size) * 4, 2, 32));
    if (scratch == nullptr) return -1;
    for (int64_t i = 0; i < size; ++i) scratch[i] = floats(args[0])[i] + floats(args[1])[i];
    memcpy(floats(args[2]), scratch, static_cast<size_t>(size) * 4);
    if (__TVMBackendFreeWorkspace(1, 0, scratch) != 0) return -1;
    return __TVMBackendParallelLaunch(double_all, args[2].tensor, 4);
}

// Refuses negative values, as TVM's checks refuse arguments.
int __tvm_ffi_ewk_check(void*, const EwAny* args, int32_t, EwAny*) {
    if (floats(args[0])[0] < 0) {
        const char* parts[] = {"first value is ", nullptr, "negative"};
        TVMFFIErrorSetRaisedFromCStrParts("ValueError", parts, 3);
        return -1;
    }
    floats(args[1])[0] = floats(args[0])[0];
    return 0;
}
}
