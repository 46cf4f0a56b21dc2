// A memory with one write port and one read port. The read value comes one cycle after its address; reading a word in
// the cycle in which it is written gives an undefined value, which no unit here relies on.
module ew_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ABITS = $clog2(DEPTH)
) (
    input  wire             clk,
    input  wire             we,
    input  wire [ABITS-1:0] waddr,
    input  wire [WIDTH-1:0] wdata,
    input  wire             re,
    input  wire [ABITS-1:0] raddr,
    output reg  [WIDTH-1:0] rdata
);
    (* no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];
    always @(posedge clk) begin
        if (we) words[waddr] <= wdata;
        if (re) rdata <= words[raddr];
    end
endmodule
