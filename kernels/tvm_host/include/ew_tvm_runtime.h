// The few functions of TVM's runtime that compiled kernels call (src/ew_tvm_runtime.cpp).
#pragma once

// Put the name of the step that failed in front of what its kernel said.
void ew_tvm_blame(const char* step);
