/* DEPTHWISE_CONV_2D: see ew_conv.h. */
#ifndef EW_DEPTHWISE_H
#define EW_DEPTHWISE_H

#include "ew_conv.h"

#endif
