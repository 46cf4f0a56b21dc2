// Between the sequencer and the pipeline: positions wait here, two at most, until what they need is there, so that the
// sequencer's walk does not depend on what is let go in the same cycle. A position needs the weights of its tile and its
// reads: of its vector, and of the second tensor's, one after the other where both lie in one bank.
module ew_issue #(
    parameter ABITS = 13,
    parameter PBITS = 7,
    parameter CBITS = 8,
    parameter LBITS = 7
) (
    input  wire             clk,
    input  wire             rst,
    // From the sequencer: a position, taken whenever there is room.
    input  wire             there,
    output wire             room,
    input  wire             n_inside,
    input  wire             n_second,
    input  wire             n_tile_first,
    input  wire             n_tile_final,
    input  wire             n_emit,
    input  wire             n_first,
    input  wire             n_last,
    input  wire             n_end,
    input  wire             n_own,
    input  wire             n_window,
    input  wire             n_set,
    input  wire [3:0]       n_pass,
    input  wire [CBITS-1:0] n_acc,
    input  wire [LBITS-1:0] n_column,
    input  wire [PBITS-1:0] n_par,
    input  wire [ABITS-1:0] n_at,
    input  wire [ABITS-1:0] n_res,
    input  wire [ABITS-1:0] n_out,
    // Weights.
    input  wire             tile_ready,
    output wire             claim,
    output wire             claim_last,
    // Reads.
    output wire             feed_req,
    output wire [ABITS-1:0] feed_addr,
    output wire             res_req,
    output wire [ABITS-1:0] res_addr,
    // What is let go.
    output wire             waits,
    output wire             fire,
    output wire             inner,
    output wire             tile_first,
    output wire             emit,
    output wire             first,
    output wire             last,
    output wire             ends,
    output wire             own,
    output wire             window,
    output wire             set,
    output wire [3:0]       pass,
    output wire [CBITS-1:0] acc,
    output wire [LBITS-1:0] column,
    output wire [PBITS-1:0] par,
    output wire [ABITS-1:0] out_at
);
    localparam BITS = 16 + CBITS + LBITS + PBITS + 3 * ABITS;
    wire n_clash = n_inside && n_second && n_at[ABITS-1:ABITS-2] == n_res[ABITS-1:ABITS-2];
    wire [BITS-1:0] coming = {
        n_clash, n_inside, n_second, n_tile_first, n_tile_final, n_emit, n_first, n_last, n_end, n_own, n_window, n_set,
        n_pass, n_acc, n_column, n_par, n_at, n_res, n_out
    };
    reg  [BITS-1:0] front, spare;
    reg             front_ok, spare_ok, res_done;
    wire            clash, second, tile_final;
    assign {
        clash, inner, second, tile_first, tile_final, emit, first, last, ends, own, window, set,
        pass, acc, column, par, feed_addr, res_addr, out_at
    } = front;
    assign room = !spare_ok;
    assign waits = front_ok;
    wire may = front_ok && (!tile_first || tile_ready);
    assign fire = may && (!clash || res_done);
    assign feed_req = fire && inner;
    assign res_req = may && second && !res_done;
    assign claim = fire && tile_first;
    assign claim_last = claim && tile_final;
    always @(posedge clk) begin
        if (fire) res_done <= 0;
        else if (res_req) res_done <= 1;
        if (fire || !front_ok) begin
            front <= spare_ok ? spare : coming;
            front_ok <= spare_ok || there;
            spare_ok <= 0;
        end else if (there) spare_ok <= 1;
        if (room) spare <= coming;
        if (rst) begin
            front_ok <= 0; spare_ok <= 0; res_done <= 0;
        end
    end
endmodule
