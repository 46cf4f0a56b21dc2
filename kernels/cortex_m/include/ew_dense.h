/* FULLY_CONNECTED: see ew_conv.h. */
#ifndef EW_DENSE_H
#define EW_DENSE_H

#include "ew_conv.h"

#endif
