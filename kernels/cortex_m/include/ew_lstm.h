/* UNIDIRECTIONAL_SEQUENCE_LSTM, integer form of TFLite (8-bit inputs, outputs, weights; 16-bit cell state), without
 * peepholes, projection, layer norm or coupled gates. For each row x of the input, with h and c the state of its batch:
 *
 *     gate[k](u) = saturate16(saturate16(requantize(bias_in[k, u] + sum w[k, u, i] * x[i], multiplier[k]))
 *                             + requantize(bias_state[k, u] + sum r[k, u, j] * h[j], multiplier[4 + k]))
 *                  in units of 2^-12, k = input, forget, cell, output
 *     c(u)       = clip(saturate16((sigmoid(forget) * c) / 2^15 + (sigmoid(input) * tanh(cell)) / 2^(30 - cell_bits)))
 *     h(u), out  = saturate8(requantize(sigmoid(output) * tanh(c), hidden_multiplier) + hidden_zero)
 *
 * c is in units of 2^-cell_bits; divisions round to nearest, ties away from zero; sigmoid and tanh are gemmlowp's
 * 16-bit fixed-point functions (a series for e^x, Newton's method for 1 / (1 + e^x)), bit for bit. The biases of the
 * model and the zero points of x and h times the sums of the weights are folded into `bias`.
 *
 * Rows are those of the last axis in memory order: row r belongs to batch r % batch when time_major, else r / time. A
 * row is read before its output is written, and never again: the output may overwrite rows that were read.
 *
 * bias: for each unit, 4 values for the input, then 4 for the state. weights: for each unit, those of its gates for the
 * input, then for the state, as ew_dot4 takes them. Scratch, aligned to 4: in_c and units bytes, each rounded up to a
 * multiple of 16; MVE: 8 bytes per unit, rounded up to eight units.
 */
#ifndef EW_LSTM_H
#define EW_LSTM_H

#include "ew_base.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    int32_t multiplier[8]; /* input gate, forget, cell, output of the input; the same of the state */
    int32_t hidden_multiplier;
    int8_t shift[8];
    int16_t time, batch, in_c, units;
    int16_t cell_clip;     /* 0: none */
    int8_t hidden_shift, hidden_zero;
    int8_t cell_bits;      /* 9 to 15 */
    int8_t time_major;
} ew_lstm_t;

/* `hidden` (batch, units) and `cell` (batch, units) are the state, read and written. */
void ew_lstm(const ew_lstm_t *p, const int8_t *in, int8_t *out, int8_t *hidden, int16_t *cell, void *scratch);

/* From units of 2^-12 to 2^-15, and from 2^-bits with bits 9 to 15; not with MVE. */
int32_t ew_lstm_sigmoid(int32_t x);
int32_t ew_lstm_tanh(int32_t x, int32_t bits);

#endif
