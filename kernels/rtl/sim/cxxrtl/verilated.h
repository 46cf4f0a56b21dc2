// Stands in for Verilator's header when the accelerator runs under CXXRTL.
#pragma once
struct VerilatedContext {};
