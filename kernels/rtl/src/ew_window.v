// Line buffers and a 3x3 window: one vector of a row per cycle, two rows remembered. `vec` belongs to the column whose
// address stood at `column` a cycle before. The window holds it from the next cycle on; `pass` picks the taps that the
// array's rows see: tap pass * LANES + row, none beyond the ninth.
module ew_window #(
    parameter LANES = 16,
    parameter LINE = 128,
    parameter LBITS = $clog2(LINE),
    parameter OWN = (LANES < 9) ? LANES : 9
) (
    input  wire                   clk,
    input  wire                   look,
    input  wire [LBITS-1:0]       column,
    input  wire                   shift,
    input  wire                   single,
    input  wire [3:0]             pass,
    input  wire [LANES*8-1:0]     vec,
    output wire [OWN*LANES*8-1:0] window
);
    localparam W = LANES * 8;
    reg [LBITS-1:0] where;
    wire [W-1:0] above, above2;
    ew_ram #(.WIDTH(2 * W), .DEPTH(LINE)) lines (
        .clk(clk), .we(shift && !single), .waddr(where), .wdata({above, vec}),
        .re(look), .raddr(column), .rdata({above2, above})
    );
    // taps[0] is the top left one.
    reg [9*W-1:0] taps;
    reg [3:0] from;
    always @(posedge clk) begin
        where <= column;
        if (shift) begin
            from <= pass;
            if (single) taps[W-1:0] <= vec;
            else taps <= {vec, taps[8*W+:W], taps[7*W+:W], above, taps[5*W+:W], taps[4*W+:W],
                          above2, taps[2*W+:W], taps[1*W+:W]};
        end
    end
    genvar r;
    generate
        for (r = 0; r < OWN; r = r + 1) begin : pick
            if (LANES >= 9) begin : all
                assign window[r*W+:W] = taps[r*W+:W];
                wire unused = &{1'b0, from};
            end else if (LANES == 8) begin : two
                assign window[r*W+:W] = (from == 0) ? taps[r*W+:W] : taps[8*W+:W];
            end else begin : three
                assign window[r*W+:W] = (from == 0) ? taps[r*W+:W] : (from == 1) ? taps[(r+4)*W+:W] : taps[8*W+:W];
            end
        end
    endgenerate
endmodule
