// Sign extension for what Verilator makes of the array, included before it. Verilator's own is a mask, a negation and an
// "or", which gcc does not see through; two shifts become one instruction. Operands have no bits above `lbits`, as there.
#include "verilated.h"

#define VL_EXTENDS_II(obits, lbits, lhs) (IData(int32_t(IData(lhs) << (32 - (lbits))) >> (32 - (lbits))))
#define VL_EXTENDS_QQ(obits, lbits, lhs) (QData(int64_t(QData(lhs) << (64 - (lbits))) >> (64 - (lbits))))
#define VL_EXTENDS_QI(obits, lbits, lhs) VL_EXTENDS_QQ(obits, lbits, lhs)
#define VL_MULS_III(lbits, lhs, rhs) \
    (IData(int32_t(VL_EXTENDS_II(32, lbits, lhs)) * int32_t(VL_EXTENDS_II(32, lbits, rhs))))
