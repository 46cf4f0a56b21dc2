/* CONV_2D along one axis: see ew_conv.h. */
#ifndef EW_CONV_LINE_H
#define EW_CONV_LINE_H

#include "ew_conv.h"

#endif
