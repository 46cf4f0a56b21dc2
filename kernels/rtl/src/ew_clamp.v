// `value` counts halves: rounded half up, moved by `zero` and held between `lo` and `hi`. A value that no zero point brings
// back into a byte is told by its upper bits, so that only few bits are added and compared.
module ew_clamp #(
    parameter WIDTH = 51
) (
    input  wire signed [WIDTH-1:0] value,
    input  wire signed [7:0]       zero,
    input  wire signed [7:0]       lo,
    input  wire signed [7:0]       hi,
    output wire        [7:0]       out
);
    localparam KEPT = 11;
    wire below = value[WIDTH-1];
    wire far = value[WIDTH-2:KEPT-1] != {(WIDTH-KEPT){below}};
    wire signed [KEPT-1:0] moved = {{3{zero[7]}}, zero} + {{10{1'b0}}, value[0]};
    wire signed [KEPT-1:0] near = {value[KEPT-1], value[KEPT-1:1]} + moved;
    wire signed [KEPT-1:0] least = {{3{lo[7]}}, lo};
    wire signed [KEPT-1:0] most = {{3{hi[7]}}, hi};
    assign out = (far ? below : near < least) ? lo : (far || near > most) ? hi : near[7:0];
endmodule
