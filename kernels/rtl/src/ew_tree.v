// The sum of COUNT signed 18-bit terms, two cycles later: sums of four first, then the sum of these.
module ew_tree #(
    parameter COUNT = 16
) (
    input  wire                clk,
    input  wire [COUNT*18-1:0] terms,
    output reg  [31:0]         sum
);
    localparam GROUPS = COUNT / 4;
    wire signed [31:0] upto [0:GROUPS];
    assign upto[0] = 32'sd0;
    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : four
            wire signed [17:0] a = terms[(4*g)*18+:18], b = terms[(4*g+1)*18+:18];
            wire signed [17:0] c = terms[(4*g+2)*18+:18], d = terms[(4*g+3)*18+:18];
            wire signed [17:0] all = (a + b) + (c + d);
            reg  signed [17:0] part;
            always @(posedge clk) part <= all;
            assign upto[g+1] = upto[g] + {{14{part[17]}}, part};
        end
    endgenerate
    always @(posedge clk) sum <= upto[GROUPS];
endmodule
