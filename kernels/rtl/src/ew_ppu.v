// One lane behind the array: bias, requantization (multiplier, shift, half rounded up), zero point, clamp; then, if asked,
// the requantized sum with a second tensor. Nine cycles from `sum` to `out`. Settings come when they are used, four to
// eight cycles after `sum`, and `other` with the fifth: `zero4`, `lo`, `hi`; `mul_a`, `mul_b`; `zeros6`; `shift7`; the
// rest. `zeros6` is what both zero points of the addition come to: zero * mul_a + res_zero * mul_b.
module ew_ppu (
    input  wire               clk,
    input  wire signed [31:0] sum,
    input  wire        [53:0] par,
    input  wire signed [7:0]  zero4,
    input  wire signed [7:0]  lo,
    input  wire signed [7:0]  hi,
    input  wire signed [7:0]  other,
    input  wire        [15:0] mul_a,
    input  wire        [15:0] mul_b,
    input  wire signed [25:0] zeros6,
    input  wire        [5:0]  shift7,
    input  wire               residual,
    input  wire signed [7:0]  sum_zero,
    input  wire signed [7:0]  sum_lo,
    input  wire signed [7:0]  sum_hi,
    output reg  signed [7:0]  out
);
    // 1: bias. 2: two partial products. 3: their sum. 4: shift. 5: rounding, zero point and clamp.
    reg signed [31:0] biased;
    reg        [15:0] mult;
    reg        [5:0]  shift1, shift2, shift3;
    wire signed [16:0] biased_low = {1'b0, biased[15:0]};
    wire signed [15:0] biased_high = biased[31:16];
    wire signed [16:0] factor = {1'b0, mult};
    reg signed [33:0] low, high;
    reg        [49:0] scaled;
    reg signed [50:0] shifted;
    reg signed [7:0]  first;
    wire [7:0] clamped;
    always @(posedge clk) begin
        biased <= sum + $signed(par[31:0]);
        mult <= par[47:32];
        shift1 <= par[53:48];
        low <= biased_low * factor;
        high <= biased_high * factor;
        shift2 <= shift1;
        scaled <= {high, 16'd0} + {{16{low[33]}}, low};
        shift3 <= shift2;
        shifted <= $signed({scaled, 1'b0}) >>> shift3;
        first <= clamped;
    end
    ew_clamp #(.WIDTH(51)) clamp (.value(shifted), .zero(zero4), .lo(lo), .hi(hi), .out(clamped));

    // 6: two products. 7: their sum. 8: shift. 9: rounding, zero point and clamp.
    wire signed [16:0] factor_a = {1'b0, mul_a};
    wire signed [16:0] factor_b = {1'b0, mul_b};
    reg signed [24:0] mine, theirs;
    reg        [27:0] both;
    reg signed [28:0] down;
    reg signed [7:0]  past6, past7, past8;
    wire [7:0] total;
    always @(posedge clk) begin
        mine <= first * factor_a;
        theirs <= other * factor_b;
        past6 <= first;
        both <= {{3{mine[24]}}, mine} + {{3{theirs[24]}}, theirs} - {{2{zeros6[25]}}, zeros6};
        past7 <= past6;
        down <= $signed({both, 1'b0}) >>> shift7;
        past8 <= past7;
        out <= residual ? total : past8;
    end
    ew_clamp #(.WIDTH(29)) clamp_sum (.value(down), .zero(sum_zero), .lo(sum_lo), .hi(sum_hi), .out(total));
endmodule
