// ew_issue lets every position go once and in order, never asks one bank for two reads, and asks for a second tensor's
// vector exactly once.
module ew_issue_props (
    input wire       clk,
    input wire       rst,
    input wire       there,
    input wire [3:0] flags,
    input wire       tile_ready,
    input wire [3:0] at,
    input wire [3:0] res
);
    // Inside of the block; `flatten` joins them by name.
    (* hierconn *) wire \issue.front_ok ;
    (* hierconn *) wire \issue.spare_ok ;
    (* hierconn *) wire \issue.res_done ;
    wire room, claim, claim_last, feed_req, res_req, waits, fire, inner, tile_first, emit, first, last, ends, own, window, set;
    wire [3:0] feed_addr, res_addr, pass, out_at;
    wire [2:0] acc, column, par;
    reg  [3:0] number, gone;
    // A position carries its number.
    ew_issue #(.ABITS(4), .PBITS(3), .CBITS(3), .LBITS(3)) issue (
        .clk(clk), .rst(rst), .there(there), .room(room), .n_inside(flags[0]), .n_second(flags[1]), .n_tile_first(flags[2]),
        .n_tile_final(flags[3]), .n_emit(1'b1), .n_first(1'b0), .n_last(flags[1]), .n_end(1'b0), .n_own(1'b0),
        .n_window(1'b0), .n_set(1'b0), .n_pass(number), .n_acc(3'd0), .n_column(3'd0), .n_par(3'd0), .n_at(at), .n_res(res),
        .n_out(4'd0), .tile_ready(tile_ready), .claim(claim), .claim_last(claim_last), .feed_req(feed_req),
        .feed_addr(feed_addr), .res_req(res_req), .res_addr(res_addr), .waits(waits), .fire(fire), .inner(inner),
        .tile_first(tile_first), .emit(emit), .first(first), .last(last), .ends(ends), .own(own), .window(window),
        .set(set), .pass(pass), .acc(acc), .column(column), .par(par), .out_at(out_at)
    );
    wire [3:0] inside = {3'd0, \issue.front_ok } + {3'd0, \issue.spare_ok };
    reg started, asked;
    initial started = 0;
    always @(posedge clk) begin
        if (rst) started <= 1;
        if (rst) begin
            number <= 0; gone <= 0; asked <= 0;
        end else begin
            number <= number + {3'd0, there && room};
            gone <= gone + {3'd0, fire};
            asked <= !fire && (asked || res_req);
        end
    end
    always @* if (started) begin
        assert (number - gone == inside);
        assert (\issue.res_done  == asked);
        assert (!(\issue.spare_ok  && !\issue.front_ok ));
        if (fire) assert (pass == gone);
        if (fire && tile_first) assert (tile_ready);
        if (feed_req && res_req) assert (feed_addr[3:2] != res_addr[3:2]);
        if (res_req) assert (!asked);
        if (fire && last && emit) assert (res_req != asked);
    end
endmodule
