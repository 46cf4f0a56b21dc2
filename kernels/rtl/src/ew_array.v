// Weight-stationary array: LANES x LANES multipliers, an adder tree per column. A vector that enters at `vec` in cycle t
// leaves as sums at t + 4. `swap` makes the shadow weights the active ones for the vectors of the next cycle and later.
// `own` gives each column its own channel instead of the same input: of the rows of `window` in order.
module ew_array #(
    parameter LANES = 16,
    parameter OWN = (LANES < 9) ? LANES : 9
) (
    input  wire                   clk,
    input  wire                   load,
    input  wire                   load_only,
    input  wire [5:0]             load_row,
    input  wire [LANES*8-1:0]     load_data,
    input  wire                   swap,
    input  wire                   own,
    input  wire [LANES*8-1:0]     vec,
    input  wire [OWN*LANES*8-1:0] window,
    output wire [LANES*32-1:0]    sums
);
    // A row's weights change together; those of all rows are taken up together, and then wait beside the multipliers.
    reg [LANES*LANES*8-1:0] shadow, active, weight;
    integer k;
    always @(posedge clk) begin
        for (k = 0; k < LANES; k = k + 1)
            if (load && load_row == k[5:0]) shadow[k*LANES*8+:LANES*8] <= load_data;
            else if (load && load_only) shadow[k*LANES*8+:LANES*8] <= 0;
        if (swap) active <= shadow;
        weight <= active;
    end
    genvar r, c;
    generate
        for (c = 0; c < LANES; c = c + 1) begin : column
            wire [LANES*16-1:0] products;
            for (r = 0; r < LANES; r = r + 1) begin : row
                reg signed [7:0] taken;
                reg signed [15:0] product;
                wire signed [7:0] mine = weight[(r*LANES+c)*8+:8];
                wire signed [7:0] common = vec[r*8+:8];
                wire signed [7:0] operand;
                if (r < OWN) begin : both
                    assign operand = own ? window[(r*LANES+c)*8+:8] : common;
                end else begin : one
                    assign operand = common;
                end
                always @(posedge clk) begin
                    taken <= operand;
                    product <= taken * mine;
                end
                assign products[r*16+:16] = product;
            end
            ew_tree #(.COUNT(LANES)) tree (.clk(clk), .terms(products), .sum(sums[c*32+:32]));
        end
    endgenerate
endmodule
