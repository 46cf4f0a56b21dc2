// A first-in first-out queue; `head` is the oldest word whenever `valid` is high. Writing while `full` is a fault of
// the writer: it is ignored, and `overflow` stays high until reset. All outputs are registers.
module ew_fifo #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ABITS = $clog2(DEPTH)
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             push,
    input  wire [WIDTH-1:0] word,
    input  wire             pop,
    output reg  [WIDTH-1:0] head,
    output reg              valid,
    output reg              full,
    output reg  [ABITS:0]   count,
    output reg              overflow
);
    reg [WIDTH-1:0] words [0:DEPTH-1];
    reg [ABITS-1:0] behind, next;               // where the word behind the head is, and the next one will be
    reg several;                                // two words or more
    localparam [ABITS:0] MOST = DEPTH, TWO = 2;
    wire in = push && !full;
    wire out = pop && valid;
    always @(posedge clk) begin
        if (in) words[next] <= word;
        if (pop || !valid) head <= several ? words[behind] : word;
        if (rst) begin
            behind <= 1;
            next <= 0;
            count <= 0;
            valid <= 0;
            several <= 0;
            full <= 0;
            overflow <= 0;
        end else begin
            if (in) next <= next + 1'b1;
            if (out) behind <= behind + 1'b1;
            if (in && !out) begin
                count <= count + 1'b1;
                valid <= 1;
                several <= valid;
                full <= count == MOST - 1'b1;
            end
            if (out && !in) begin
                count <= count - 1'b1;
                valid <= several;
                several <= count > TWO;
                full <= 0;
            end
            if ((push && full) || (pop && !valid)) overflow <= 1;
        end
    end
endmodule
