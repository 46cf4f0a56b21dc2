// Position sequencer: walks through the tiles and positions of COMPUTE, one vector per cycle, and says with each what
// the stages behind it have to do. Nothing waits once a position is on its way: `ew_issue` lets it go when what it needs
// is there. Numbers that make no sense, and addresses outside of a memory, are faults.
module ew_seq #(
    parameter LANES = 16,
    parameter ABITS = 13,
    parameter PBITS = 7,
    parameter CBITS = 8,
    parameter LBITS = 7,
    parameter LINE = 1 << LBITS
) (
    input  wire              clk,
    input  wire              rst,
    // The instruction that the weight loader works for, and whether it may begin.
    input  wire              take_ok,
    input  wire [511:0]      instr,
    output reg               take,
    input  wire [1:0]        in_flight,         // instructions in the pipeline, this cycle's taken off
    // What goes with a position; it is taken when there is room.
    input  wire              room,
    output reg               active,
    output wire              o_inside,
    output wire              o_second,
    output reg               o_tile_first,
    output wire              o_tile_final,
    output wire              o_emit,
    output wire              o_first,
    output wire              o_last,
    output wire              o_end,
    output wire              o_own,
    output reg               window,
    output reg  [3:0]        pass,
    output reg               o_set,
    output wire [CBITS-1:0]  acc,
    output reg  [LBITS-1:0]  column,
    output wire [PBITS-1:0]  o_par,
    output wire [ABITS-1:0]  o_at,
    output wire [ABITS-1:0]  o_res,
    output wire [ABITS-1:0]  o_out,
    output reg               fault
);
    localparam [31:0] LAST_PASS = (9 + LANES - 1) / LANES - 1, WIDEST = LINE;

    // The instruction's fields that are needed while it runs.
    reg        taps, residual, carry, keep;
    reg [19:0] step_y, step_ky;
    reg [13:0] step_x, step_kx;
    reg [9:0]  in_h, in_w, ct_max, nt_max, r_max, x_max;
    reg signed [11:0] iy0;
    reg signed [6:0] ix0;
    reg [2:0]  sy, sx, dy, dx;
    reg [5:0]  ky_max, kx_max;
    reg [15:0] out_row, res_row;
    reg [9:0]  out_px, res_px;

    // Where it stands.
    reg [9:0]  nt, ct, r, x;
    reg [5:0]  ky, kx;
    reg [19:0] at_nt, at_ky, at_kx, at_tile, at_row, at;
    reg signed [14:0] iy_ky, iy;
    reg signed [13:0] ix_kx, ix;
    reg [20:0] out_nt, out_r, out_x, res_nt, res_r, res_x;
    reg [2:0]  skip_y, skip_x;
    reg        late_y, late_x;
    // What would have to be compared is known a cycle before it is needed: the last of a count, the first tile, and whether
    // row and column complete a window.
    reg        x_end, r_end, ct_end, kx_end, ky_end, nt_end, is_first, y_on, x_on;
    reg [12:0] par;
    reg [CBITS:0] sum;

    // Numbers that there are none of.
    wire [1:0] mode = instr[`EW_COMPUTE_MODE];
    wire conv_mode = mode == 2'd0, window_mode = mode == 2'd1;
    wire none = instr[`EW_COMPUTE_NT] == 0 || instr[`EW_COMPUTE_ROWS] == 0 || instr[`EW_COMPUTE_OW] == 0;
    wire no_taps = instr[`EW_COMPUTE_KH] == 0 || instr[`EW_COMPUTE_KW] == 0;
    wire no_window = instr[`EW_COMPUTE_WROWS] < 3 || instr[`EW_COMPUTE_WCOLS] < 3 || instr[`EW_COMPUTE_SY] == 0
        || instr[`EW_COMPUTE_SX] == 0 || {1'b0, instr[`EW_COMPUTE_WCOLS]} > WIDEST[10:0];
    wire alone = instr[`EW_COMPUTE_CARRY] || instr[`EW_COMPUTE_KEEP];
    wire bad = mode == 2'd3 || none || (window_mode ? no_window : no_taps) || (conv_mode && instr[`EW_COMPUTE_CT] == 0)
        || (alone && (!conv_mode || instr[`EW_COMPUTE_NT] != 1));
    wire signed [14:0] iy0_given = {{3{instr[`EW_COMPUTE_IY0_SIGN]}}, instr[`EW_COMPUTE_IY0]};
    wire signed [13:0] ix0_given = {{7{instr[`EW_COMPUTE_IX0_SIGN]}}, instr[`EW_COMPUTE_IX0]};
    wire unused = &{1'b0, instr};
    wire may_take = take_ok && !take && !active && !in_flight[1] && !(instr[`EW_COMPUTE_FENCE] && in_flight[0]);

    wire [9:0] xs = window_mode ? instr[`EW_COMPUTE_WCOLS] : instr[`EW_COMPUTE_OW];
    wire [9:0] rs = window_mode ? instr[`EW_COMPUTE_WROWS] : instr[`EW_COMPUTE_ROWS];
    wire [9:0] cts = conv_mode ? instr[`EW_COMPUTE_CT] : 10'd1;
    wire [5:0] kxs = window_mode ? LAST_PASS[5:0] + 6'd1 : instr[`EW_COMPUTE_KW];
    wire [5:0] kys = window_mode ? 6'd1 : instr[`EW_COMPUTE_KH];
    wire [9:0] x_next = x + 10'd1, r_next = r + 10'd1, ct_next = ct + 10'd1, n_next = nt + 10'd1;
    wire [5:0] kx_count = kx + 6'd1, ky_count = ky + 6'd1;
    wire tile_end = x_end && r_end;
    wire last_tile = ct_end && kx_end && ky_end;
    // Sums may go on from an instruction to the next: they are not begun anew, or not yet let go.
    assign o_first = is_first && !carry;
    assign o_last = last_tile && !keep;
    assign o_own = window || taps;
    // In a window's stream only every sy-th row and sx-th column from the third on completes a window.
    assign o_emit = y_on && x_on;
    assign o_end = tile_end && o_tile_final;
    assign acc = sum[CBITS-1:0];
    assign o_par = par[PBITS-1:0];
    assign o_out = out_x[ABITS-1:0];

    assign o_inside = iy >= 0 && iy < $signed({5'd0, in_h}) && ix >= 0 && ix < $signed({4'd0, in_w});
    assign o_second = residual && o_last && o_emit;
    assign o_tile_final = last_tile && nt_end;
    assign o_at = at[ABITS-1:0];
    assign o_res = res_x[ABITS-1:0];
    wire step = active && room;

    // One position, row, tile on.
    wire [19:0] walk_x = {6'd0, window ? step_kx : step_x};
    wire [19:0] walk_y = window ? step_ky : step_y;
    wire [2:0]  walk_iy = window ? 3'd1 : sy;
    wire [2:0]  walk_ix = window ? 3'd1 : sx;
    wire [19:0] row_next = at_row + walk_y;
    wire [19:0] tile_next = at_tile + 20'd1;
    wire [19:0] kx_next = at_kx + (window ? 20'd0 : {6'd0, step_kx});
    wire [19:0] ky_next = at_ky + (window ? 20'd0 : step_ky);
    wire [19:0] nt_next = at_nt + {19'd0, o_own};
    wire signed [14:0] iy_ky_next = iy_ky + (window ? 15'sd0 : $signed({12'd0, dy}));
    wire signed [13:0] ix_kx_next = ix_kx + (window ? 14'sd0 : $signed({11'd0, dx}));
    wire [20:0] out_r_next = out_r + {5'd0, out_row};
    wire [20:0] res_r_next = res_r + {5'd0, res_row};

    reg [19:0] n_at, n_row, n_tile, n_kx, n_ky, n_nt;
    reg signed [14:0] n_iy, n_iy_ky;
    reg signed [13:0] n_ix, n_ix_kx;
    always @* begin
        n_nt = at_nt; n_ky = at_ky; n_kx = at_kx; n_tile = at_tile; n_row = at_row;
        n_at = at + walk_x;
        n_iy_ky = iy_ky; n_ix_kx = ix_kx;
        n_iy = iy;
        n_ix = ix + $signed({11'd0, walk_ix});
        if (x_end) begin
            n_ix = ix_kx;
            n_iy = iy + $signed({12'd0, walk_iy});
            n_row = row_next; n_at = row_next;
            if (r_end) begin
                n_iy = iy_ky;
                if (!ct_end) n_tile = tile_next;
                else if (!kx_end) begin
                    n_kx = kx_next; n_tile = kx_next;
                    n_ix_kx = ix_kx_next; n_ix = ix_kx_next;
                end else begin
                    n_ix_kx = {{7{ix0[6]}}, ix0}; n_ix = n_ix_kx;
                    if (!ky_end) begin
                        n_ky = ky_next;
                        n_iy_ky = iy_ky_next; n_iy = iy_ky_next;
                    end else begin
                        n_nt = nt_next; n_ky = nt_next;
                        n_iy_ky = {{3{iy0[11]}}, iy0}; n_iy = n_iy_ky;
                    end
                    n_kx = n_ky; n_tile = n_ky;
                end
                n_row = n_tile; n_at = n_tile;
            end
        end
    end
    reg wrong_in, wrong_out, wrong_par, wrong_sum;
    always @(posedge clk) begin
        take <= may_take;
        wrong_in <= step && o_inside && (at >> ABITS) != 0;
        wrong_out <= step && o_last && o_emit && ((out_x >> ABITS) != 0 || (residual && (res_x >> ABITS) != 0));
        wrong_par <= step && o_last && (par >> PBITS) != 0;
        wrong_sum <= step && o_emit && sum[CBITS] && !(o_first && o_last);
        if (wrong_in || wrong_out || wrong_par || wrong_sum) fault <= 1;
        if (step) begin
            at <= n_at; at_row <= n_row; at_tile <= n_tile; at_kx <= n_kx; at_ky <= n_ky; at_nt <= n_nt;
            iy <= n_iy; iy_ky <= n_iy_ky; ix <= n_ix; ix_kx <= n_ix_kx;
            o_tile_first <= tile_end;
            x <= x_end ? 10'd0 : x_next;
            x_end <= x_end ? x_max == 0 : x_next == x_max;
            column <= x_end ? {LBITS{1'b0}} : column + 1'b1;
            // Results: their own position, which in a window's stream moves only when one is let go.
            if (o_emit) begin
                sum <= sum + 1'b1;
                out_x <= out_x + {11'd0, out_px};
                res_x <= res_x + {11'd0, res_px};
            end
            if (window) begin
                if (late_x) begin
                    if (column == 1) late_x <= 0;
                end else skip_x <= (skip_x == 0) ? sx - 1'b1 : skip_x - 1'b1;
                x_on <= !x_end && (late_x ? column == 1 : (skip_x == 0) ? sx == 1 : skip_x == 1);
            end
            if (x_end) begin
                late_x <= 1; skip_x <= 0;
                r <= r_end ? 10'd0 : r_next;
                r_end <= r_end ? r_max == 0 : r_next == r_max;
                if (window) y_on <= !r_end && (late_y ? r == 1 : (skip_y == 0) ? sy == 1 : skip_y == 1);
                if (y_on) begin
                    out_r <= out_r_next; out_x <= out_r_next;
                    res_r <= res_r_next; res_x <= res_r_next;
                end
                if (late_y) begin
                    if (r == 1) late_y <= 0;
                end else skip_y <= (skip_y == 0) ? sy - 1'b1 : skip_y - 1'b1;
            end
            if (tile_end) begin
                late_y <= 1; skip_y <= 0;
                sum <= 0;
                out_r <= out_nt; out_x <= out_nt; res_r <= res_nt; res_x <= res_nt;
                is_first <= last_tile;
                ct <= ct_end ? 10'd0 : ct_next;
                ct_end <= ct_end ? ct_max == 0 : ct_next == ct_max;
                if (ct_end) begin
                    kx <= kx_end ? 6'd0 : kx_count;
                    kx_end <= kx_end ? kx_max == 0 : kx_count == kx_max;
                    pass <= (kx_end || !window) ? 4'd0 : pass + 1'b1;
                    if (kx_end) begin
                        ky <= ky_end ? 6'd0 : ky_count;
                        ky_end <= ky_end ? ky_max == 0 : ky_count == ky_max;
                    end
                end
                if (last_tile) begin
                    nt <= n_next;
                    nt_end <= n_next == nt_max;
                    par <= par + 1'b1;
                    out_nt <= out_nt + 1'b1; out_r <= out_nt + 1'b1; out_x <= out_nt + 1'b1;
                    res_nt <= res_nt + 1'b1; res_r <= res_nt + 1'b1; res_x <= res_nt + 1'b1;
                    if (nt_end) active <= 0;
                end
            end
        end
        if (take) begin
            active <= !bad;
            if (bad) fault <= 1;
            o_set <= !o_set;
            window <= mode == 2'd1; taps <= mode == 2'd2;
            residual <= instr[`EW_COMPUTE_RESIDUAL];
            carry <= instr[`EW_COMPUTE_CARRY]; keep <= instr[`EW_COMPUTE_KEEP];
            step_y <= instr[`EW_COMPUTE_STEP_Y]; step_x <= instr[`EW_COMPUTE_STEP_X];
            step_ky <= instr[`EW_COMPUTE_STEP_KY]; step_kx <= instr[`EW_COMPUTE_STEP_KX];
            in_h <= instr[`EW_COMPUTE_IN_H]; in_w <= instr[`EW_COMPUTE_IN_W];
            iy0 <= instr[`EW_COMPUTE_IY0]; ix0 <= instr[`EW_COMPUTE_IX0];
            sy <= instr[`EW_COMPUTE_SY]; sx <= instr[`EW_COMPUTE_SX];
            dy <= instr[`EW_COMPUTE_DY]; dx <= instr[`EW_COMPUTE_DX];
            ky_max <= kys - 1'b1; kx_max <= kxs - 1'b1; ct_max <= cts - 1'b1;
            nt_max <= instr[`EW_COMPUTE_NT] - 1'b1;
            r_max <= rs - 1'b1; x_max <= xs - 1'b1;
            ky_end <= kys == 1; kx_end <= kxs == 1; ct_end <= cts == 1; nt_end <= instr[`EW_COMPUTE_NT] == 1;
            r_end <= rs == 1; x_end <= xs == 1;
            is_first <= 1; y_on <= !window_mode; x_on <= !window_mode;
            out_row <= instr[`EW_COMPUTE_OUT_ROW]; out_px <= instr[`EW_COMPUTE_OUT_PX];
            res_row <= instr[`EW_COMPUTE_RES_ROW]; res_px <= instr[`EW_COMPUTE_RES_PX];
            nt <= 0; ct <= 0; ky <= 0; kx <= 0; r <= 0; x <= 0; column <= 0; pass <= 0; sum <= 0;
            at <= instr[`EW_COMPUTE_IN_BASE]; at_row <= instr[`EW_COMPUTE_IN_BASE];
            at_tile <= instr[`EW_COMPUTE_IN_BASE]; at_kx <= instr[`EW_COMPUTE_IN_BASE];
            at_ky <= instr[`EW_COMPUTE_IN_BASE]; at_nt <= instr[`EW_COMPUTE_IN_BASE];
            iy <= iy0_given; iy_ky <= iy0_given; ix <= ix0_given; ix_kx <= ix0_given;
            out_nt <= {1'b0, instr[`EW_COMPUTE_OUT_BASE]}; out_r <= {1'b0, instr[`EW_COMPUTE_OUT_BASE]};
            out_x <= {1'b0, instr[`EW_COMPUTE_OUT_BASE]};
            res_nt <= {1'b0, instr[`EW_COMPUTE_RES_BASE]}; res_r <= {1'b0, instr[`EW_COMPUTE_RES_BASE]};
            res_x <= {1'b0, instr[`EW_COMPUTE_RES_BASE]};
            par <= {1'b0, instr[`EW_COMPUTE_PAR]};
            late_y <= 1; late_x <= 1; skip_y <= 0; skip_x <= 0;
            o_tile_first <= 1;
        end
        if (rst) begin
            take <= 0;
            active <= 0;
            fault <= 0;
            o_set <= 0;
        end
    end
endmodule
