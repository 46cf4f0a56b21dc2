// What compiled kernels need of TVM's runtime: scratch memory, a way to report an error, and parallel loops, which run
// one task here. Signatures: tvm/runtime/c_backend_api.h and tvm/ffi/c_api.h.
#include "ew_tvm_runtime.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "ew_tvm.h"

namespace {

constexpr int kBlocks = 32;
constexpr size_t kAlignment = 64;

struct Block {
    void* memory;
    size_t bytes;
    bool taken;
};

// Scratch memory is kept for the next inference: a kernel asks for the same sizes every time.
Block blocks[kBlocks];
int64_t held = 0;
char message[1024] = "no error";

size_t rounded(uint64_t bytes) { return static_cast<size_t>((bytes + kAlignment - 1) / kAlignment * kAlignment); }

void* fill(Block& block, size_t bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, bytes) != 0) return nullptr;
    if (block.memory != nullptr) {
        held -= static_cast<int64_t>(block.bytes);
        free(block.memory);
    }
    held += static_cast<int64_t>(bytes);
    block = Block{memory, bytes, true};
    return memory;
}

void* allocate(int, int, uint64_t asked, int, int) {
    const size_t bytes = rounded(asked ? asked : 1);
    Block* free_one = nullptr;
    for (Block& block : blocks) {
        if (block.taken) continue;
        if (block.memory != nullptr && block.bytes >= bytes && block.bytes <= 2 * bytes) {
            block.taken = true;
            return block.memory;
        }
        if (free_one == nullptr || (free_one->memory != nullptr && block.memory == nullptr)) free_one = &block;
    }
    return free_one != nullptr ? fill(*free_one, bytes) : nullptr;
}

int release(int, int, void* memory) {
    for (Block& block : blocks) {
        if (block.memory == memory && block.taken) {
            block.taken = false;
            return 0;
        }
    }
    return -1;
}

struct Group {
    void* sync;
    int32_t tasks;
};

using Task = int (*)(int index, Group* group, void* closure);

int launch(Task task, void* closure, int) {
    Group alone{nullptr, 1};
    return task(0, &alone, closure);
}

int barrier(int, Group*) { return 0; }

}  // namespace

void ew_tvm_blame(const char* step) {
    char said[sizeof message];
    snprintf(said, sizeof said, "%s", message);
    snprintf(message, sizeof message, "step %s: %.900s", step, said);
}

extern "C" {

// Kernels call through these pointers, which TVM's own loader would fill.
extern decltype(&allocate) __TVMBackendAllocWorkspace;
extern decltype(&release) __TVMBackendFreeWorkspace;
extern decltype(&launch) __TVMBackendParallelLaunch;
extern decltype(&barrier) __TVMBackendParallelBarrier;
decltype(&allocate) __TVMBackendAllocWorkspace = allocate;
decltype(&release) __TVMBackendFreeWorkspace = release;
decltype(&launch) __TVMBackendParallelLaunch = launch;
decltype(&barrier) __TVMBackendParallelBarrier = barrier;

void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count) {
    int end = snprintf(message, sizeof message, "%s: ", kind);
    for (int32_t i = 0; i < count && end < static_cast<int>(sizeof message); ++i) {
        if (parts[i] != nullptr) end += snprintf(message + end, sizeof message - static_cast<size_t>(end), "%s", parts[i]);
    }
}

void TVMFFIErrorSetRaisedFromCStr(const char* kind, const char* text) {
    TVMFFIErrorSetRaisedFromCStrParts(kind, &text, 1);
}

const char* ew_tvm_error(void) { return message; }

int64_t ew_tvm_workspace_bytes(void) { return held; }

}  // extern "C"
