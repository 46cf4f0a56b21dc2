// The accelerator (port of 64 bits) under CXXRTL with the face that Verilator gives it, so that ew_sim.cpp runs either.
// core.cpp is what yosys' write_cxxrtl made.
#pragma once
#include "core.cpp"
#include "verilated.h"

class Vew_core {
public:
    explicit Vew_core(VerilatedContext*) {}
    uint8_t clk = 0, rst = 0, start = 0, ar_ready = 0, r_valid = 0, w_ready = 0, w_done = 0;
    uint32_t program_at = 0, limit = 0;
    uint64_t r_data = 0;
    uint8_t done = 0, fault = 0, faults = 0, ar_valid = 0, ar_len = 0, r_ready = 0, w_valid = 0, begins = 0;
    uint8_t load_busy = 0, store_busy = 0, compute_busy = 0, compute_stalled = 0;
    uint32_t ar_addr = 0, w_addr = 0;
    uint64_t w_data = 0;
    uint16_t load_retired = 0, store_retired = 0, compute_retired = 0;

    void eval() {
        core.p_clk.set<bool>(clk);
        core.p_rst.set<bool>(rst);
        core.p_start.set<bool>(start);
        core.p_ar__ready.set<bool>(ar_ready);
        core.p_r__valid.set<bool>(r_valid);
        core.p_w__ready.set<bool>(w_ready);
        core.p_w__done.set<bool>(w_done);
        core.p_program__at.set<uint32_t>(program_at);
        core.p_limit.set<uint32_t>(limit);
        core.p_r__data.set<uint64_t>(r_data);
        core.step();
        take(done, core.p_done);
        take(fault, core.p_fault);
        take(faults, core.p_faults);
        take(ar_valid, core.p_ar__valid);
        take(ar_addr, core.p_ar__addr);
        take(ar_len, core.p_ar__len);
        take(r_ready, core.p_r__ready);
        take(w_valid, core.p_w__valid);
        take(w_addr, core.p_w__addr);
        take(w_data, core.p_w__data);
        take(load_busy, core.p_load__busy);
        take(store_busy, core.p_store__busy);
        take(compute_busy, core.p_compute__busy);
        take(compute_stalled, core.p_compute__stalled);
        take(load_retired, core.p_load__retired);
        take(store_retired, core.p_store__retired);
        take(compute_retired, core.p_compute__retired);
        take(begins, core.p_begins);
    }

private:
    cxxrtl_design::p_ew__core core;

    template <class To, size_t Bits>
    static void take(To& to, const cxxrtl::value<Bits>& from) {
        to = from.template get<To>();
    }
    template <class To, size_t Bits>
    static void take(To& to, const cxxrtl::wire<Bits>& from) {
        to = from.template get<To>();
    }
};
