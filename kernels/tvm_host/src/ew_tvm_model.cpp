// The executor: calls the kernels in the order of the plan. Everything is laid out ahead of time.
#include <ctime>

#include "ew_tvm.h"
#include "ew_tvm_plan.h"
#include "ew_tvm_runtime.h"

namespace {

char* place(const EwValue& value) {
    return value.constant ? const_cast<char*>(ew_constants) + value.offset : ew_arena + value.offset;
}

void prepare() {
    for (int32_t i = 0; i < ew_value_count; ++i) {
        const EwValue& value = ew_values[i];
        ew_tensors[i] = EwTensor{place(value), kEwCpu, 0, value.dims, value.type_code, value.type_bits, 1,
                                 value.shape, value.strides, 0};
    }
    for (int32_t i = 0; i < ew_argument_count; ++i) {
        ew_any[i].type_index = kEwTensorIndex;
        ew_any[i].whole = 0;
        ew_any[i].tensor = &ew_tensors[ew_arguments[i]];
    }
}

void once() {
    static bool ready = false;
    if (!ready) prepare();
    ready = true;
}

int32_t step(const EwStep& what) {
    EwAny result{};
    if (what.kernel(nullptr, ew_any + what.first, what.count, &result) == 0) return 0;
    ew_tvm_blame(what.name);
    return -1;
}

double now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

const EwValue* at(const int32_t* list, int32_t count, int32_t index) {
    return index >= 0 && index < count ? &ew_values[list[index]] : nullptr;
}

}  // namespace

extern "C" {

int32_t ew_tvm_inputs(void) { return ew_input_count; }
int32_t ew_tvm_outputs(void) { return ew_output_count; }

void* ew_tvm_input(int32_t index) {
    const EwValue* value = at(ew_inputs, ew_input_count, index);
    return value ? place(*value) : nullptr;
}

int64_t ew_tvm_input_bytes(int32_t index) {
    const EwValue* value = at(ew_inputs, ew_input_count, index);
    return value ? value->bytes : 0;
}

const void* ew_tvm_output(int32_t index) {
    const EwValue* value = at(ew_outputs, ew_output_count, index);
    return value ? place(*value) : nullptr;
}

int64_t ew_tvm_output_bytes(int32_t index) {
    const EwValue* value = at(ew_outputs, ew_output_count, index);
    return value ? value->bytes : 0;
}

int32_t ew_tvm_run(void) {
    once();
    for (int32_t i = 0; i < ew_step_count; ++i) {
        if (step(ew_steps[i]) != 0) return -1;
    }
    return 0;
}

int32_t ew_tvm_run_timed(double* seconds) {
    once();
    for (int32_t i = 0; i < ew_step_count; ++i) {
        const double start = now();
        if (step(ew_steps[i]) != 0) return -1;
        seconds[i] = now() - start;
    }
    return 0;
}

int32_t ew_tvm_steps(void) { return ew_step_count; }

const char* ew_tvm_step_name(int32_t index) {
    return index >= 0 && index < ew_step_count ? ew_steps[index].name : "";
}

int64_t ew_tvm_arena_bytes(void) { return ew_arena_size; }

}  // extern "C"
