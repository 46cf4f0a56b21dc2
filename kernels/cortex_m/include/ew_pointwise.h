/* CONV_2D with a 1x1 kernel: see ew_conv.h. */
#ifndef EW_POINTWISE_H
#define EW_POINTWISE_H

#include "ew_conv.h"

#endif
