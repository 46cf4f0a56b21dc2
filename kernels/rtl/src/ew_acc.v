// Partial sums of the positions of a block. A sum that enters at `sums` is added to (or held against) what is kept for
// its position; the result leaves a cycle later and is kept unless it is the last. `look_at` names the position two cycles
// before its sum. The three results before are at hand, so that a position may come back in the next cycle.
module ew_acc #(
    parameter LANES = 16,
    parameter DEPTH = 256,
    parameter CBITS = $clog2(DEPTH)
) (
    input  wire                clk,
    input  wire                look,
    input  wire [CBITS-1:0]    look_at,
    input  wire                valid,
    input  wire                first,
    input  wire                last,
    input  wire                largest,
    input  wire [LANES*32-1:0] sums,
    output reg  [LANES*32-1:0] result
);
    // Whether the position is that of the result one, two, three before it is known a cycle before it matters.
    reg                 keep, one, two, three;
    reg  [CBITS-1:0]    at5, at6, at7;
    reg  [LANES*32-1:0] old, kept;
    wire [LANES*32-1:0] stored;
    ew_ram #(.WIDTH(LANES * 32), .DEPTH(DEPTH)) ram (
        .clk(clk), .we(keep), .waddr(at7), .wdata(result), .re(look), .raddr(look_at), .rdata(stored)
    );
    wire keeps = valid && !last;
    genvar c;
    generate
        for (c = 0; c < LANES; c = c + 1) begin : lane
            wire signed [31:0] new_sum = sums[c*32+:32];
            wire signed [31:0] prior = one ? result[c*32+:32] : kept[c*32+:32];
            wire signed [31:0] more = (new_sum > prior) ? new_sum : prior;
            always @(posedge clk) begin
                kept[c*32+:32] <= two ? result[c*32+:32] : three ? old[c*32+:32] : stored[c*32+:32];
                if (valid) result[c*32+:32] <= first ? new_sum : largest ? more : prior + new_sum;
            end
        end
    endgenerate
    always @(posedge clk) begin
        at5 <= look_at;
        at6 <= at5;
        at7 <= at6;
        keep <= keeps;
        one <= keeps && at6 == at5;
        two <= keeps && at6 == look_at;
        three <= keep && at7 == look_at;
        old <= result;
    end
endmodule
