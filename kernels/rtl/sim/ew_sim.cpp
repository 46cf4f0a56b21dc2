// The accelerator under Verilator with a model of its memory: answers come `latency` cycles after their request at the
// earliest, one beat per cycle at most, and, with `stalls`, hold still in that many of 256 cycles at random.
#include <cstdint>
#include <cstring>
#include <deque>

#include "Vew_core.h"
#include "verilated.h"

// Of the structures below; targets/tvm_fpga/rtl/abi.py has the same.
static const int VERSION = 3;

namespace {

struct Read {
    uint32_t addr;
    uint32_t beats;
    uint64_t ready_at;
};

struct Sim {
    VerilatedContext context;
    Vew_core* core;
    Sim() : core(new Vew_core(&context)) {}
    ~Sim() { delete core; }
};

}  // namespace

extern "C" {

struct ew_memory {
    uint8_t* bytes;
    uint32_t size;
    uint32_t latency;
    uint32_t stalls;
    uint32_t seed;
    uint32_t port;
};

// Counts are of cycles, of beats of the port, and of instructions of the queues load, store, compute.
struct ew_result {
    uint64_t cycles;
    uint32_t done, fault, faults;
    uint64_t busy[3], stalled, read_beats, written_beats;
    uint32_t retired[3], running[3], open_reads, open_writes, events, windows, window;
};

// What happened in `window` cycles, one window after the other: beats, and cycles in which the array had an instruction
// and took no vector, or had none.
struct ew_window {
    uint32_t read_beats, written_beats, stalled, idle;
};

// One event for every instruction that begins (ends 0) or is over (ends 1).
struct ew_event {
    uint16_t queue, ends;
    uint64_t cycle;
};

int ew_version() { return VERSION; }
void* ew_open() { return new Sim; }
void ew_close(void* sim) { delete static_cast<Sim*>(sim); }

int ew_run(void* handle, const ew_memory* memory, uint32_t program_at, uint64_t most_cycles, uint64_t idle_cycles,
           ew_result* result, ew_event* events, uint32_t most_events, ew_window* windows, uint32_t most_windows) {
    Vew_core& core = *static_cast<Sim*>(handle)->core;
    std::deque<Read> reads;
    std::deque<uint64_t> writes;
    const uint32_t port = memory->port;
    uint32_t random = memory->seed | 1, read_beat = 0;
    uint16_t retired[3] = {0, 0, 0};
    uint64_t cycle = 0, last_progress = 0;
    std::memset(result, 0, sizeof *result);
    result->window = 32;
    ew_window spare = {}, *now_in = &spare;
    uint64_t next_window = 0;
    // The window of this cycle; where they are all in use, two become one.
    auto enter = [&]() {
        if (result->windows == most_windows) {
            for (uint32_t i = 0; i < most_windows; i++) {
                ew_window from = windows[i], &to = windows[i / 2];
                if (i % 2 == 0) to = {};
                to.read_beats += from.read_beats;
                to.written_beats += from.written_beats;
                to.stalled += from.stalled;
                to.idle += from.idle;
            }
            result->windows /= 2;
            result->window *= 2;
        }
        now_in = &windows[result->windows++];
        *now_in = {};
        next_window = cycle + result->window;
    };
    auto stall = [&]() {
        if (!memory->stalls) return false;
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        return ((random >> 8) & 255) < memory->stalls;
    };
    auto tick = [&]() {
        core.clk = 1;
        core.eval();
        core.clk = 0;
    };
    auto note = [&](uint32_t queue, uint32_t ends) {
        last_progress = cycle;
        if (result->events < most_events) events[result->events++] = {uint16_t(queue), uint16_t(ends), cycle};
    };
    core.clk = 0;
    core.rst = 1;
    core.start = 0;
    core.ar_ready = core.r_valid = core.w_ready = core.w_done = 0;
    core.limit = memory->size;
    core.program_at = program_at;
    core.eval();
    for (int i = 0; i < 4; i++) tick(), core.eval();
    core.rst = 0;
    core.start = 1;
    core.eval();
    tick();
    core.start = 0;
    while (cycle < most_cycles) {
        if (most_windows && cycle == next_window) enter();
        bool answer = !reads.empty() && reads.front().ready_at <= cycle && !stall();
        core.r_valid = answer;
        if (answer) {
            uint64_t at = uint64_t(reads.front().addr) + uint64_t(read_beat) * port;
            uint8_t beat[16] = {0};
            if (at + port <= memory->size) std::memcpy(beat, memory->bytes + at, port);
            std::memcpy(&core.r_data, beat, port);
        }
        core.ar_ready = reads.size() < 16 && !stall();
        core.w_ready = !stall();
        bool written = !writes.empty() && writes.front() <= cycle;
        core.w_done = written;
        core.eval();  // also what follows from the edge before
        result->busy[0] += core.load_busy;
        result->busy[1] += core.store_busy;
        result->busy[2] += core.compute_busy;
        result->stalled += core.compute_stalled;
        const uint16_t now[3] = {core.load_retired, core.store_retired, core.compute_retired};
        for (uint32_t q = 0; q < 3; q++) {
            if (now[q] != retired[q]) {
                retired[q] = now[q];
                result->running[q]--;
                note(q, 1);
            }
            if (core.begins >> q & 1) {
                result->running[q]++;
                note(q, 0);
            }
        }
        if (core.done || core.fault || cycle - last_progress > idle_cycles) break;
        now_in->stalled += core.compute_stalled;
        now_in->idle += !core.compute_busy;
        bool ask = core.ar_valid && core.ar_ready, put = core.w_valid && core.w_ready;
        if (ask) reads.push_back({core.ar_addr, core.ar_len + 1u, cycle + memory->latency});
        if (put) {
            uint64_t at = core.w_addr;
            if (at + port <= memory->size) std::memcpy(memory->bytes + at, &core.w_data, port);
            writes.push_back(cycle + memory->latency);
            result->written_beats++;
            now_in->written_beats++;
        }
        if (written) writes.pop_front();
        if (core.r_valid && core.r_ready) {
            result->read_beats++;
            now_in->read_beats++;
            if (++read_beat == reads.front().beats) {
                read_beat = 0;
                reads.pop_front();
            }
        }
        if (ask || put) last_progress = cycle;
        tick();
        cycle++;
    }
    result->cycles = cycle;
    result->done = core.done;
    result->fault = core.fault;
    result->faults = core.faults;
    result->open_reads = uint32_t(reads.size());
    result->open_writes = uint32_t(writes.size());
    for (int q = 0; q < 3; q++) result->retired[q] = retired[q];
    return core.done ? 0 : 1;
}
}
