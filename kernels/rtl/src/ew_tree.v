// The sum of COUNT signed 16-bit terms, two cycles later: sums of four first, then the sum of these.
module ew_tree #(
    parameter COUNT = 16
) (
    input  wire                clk,
    input  wire [COUNT*16-1:0] terms,
    output reg  [31:0]         sum
);
    // Signed terms extend themselves, which simulators do faster than copies of the sign bit.
    /* verilator lint_off WIDTHEXPAND */
    localparam GROUPS = COUNT / 4;
    wire signed [31:0] upto [0:GROUPS];
    assign upto[0] = 32'sd0;
    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : four
            wire signed [15:0] a = terms[(4*g)*16+:16], b = terms[(4*g+1)*16+:16];
            wire signed [15:0] c = terms[(4*g+2)*16+:16], d = terms[(4*g+3)*16+:16];
            wire signed [31:0] all = (a + b) + (c + d);
            reg  signed [17:0] part;
            wire signed [31:0] more = part;
            always @(posedge clk) part <= all[17:0];
            assign upto[g+1] = upto[g] + more;
            wire unused = &{1'b0, all[31:18]};
        end
    endgenerate
    /* verilator lint_on WIDTHEXPAND */
    always @(posedge clk) sum <= upto[GROUPS];
endmodule
