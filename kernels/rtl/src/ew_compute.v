// Everything that COMPUTE needs: loader of weights, sequencer, window, array, partial sums, one post-processing lane per
// column. Stages are counted from the cycle in which a position is let go: its vector is read at 0, multiplied at 4, summed
// at 7, added up at 8, written at 17.
module ew_compute #(
    parameter LANES = 16,
    parameter ACT_DEPTH = 8192,
    parameter WGT_DEPTH = 4096,
    parameter PAR_DEPTH = 128,
    parameter ACC_DEPTH = 256,
    parameter LINE = 128,
    parameter ABITS = $clog2(ACT_DEPTH),
    parameter WBITS = $clog2(WGT_DEPTH),
    parameter PBITS = $clog2(PAR_DEPTH),
    parameter CBITS = $clog2(ACC_DEPTH),
    parameter LBITS = $clog2(LINE)
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               head_ok,
    input  wire [511:0]       head,
    output wire               pop,
    output reg  [15:0]        retired,
    output wire               begins,
    output wire               busy,
    output wire               stalled,
    output wire               fault,
    output wire               feed_req,
    output wire [ABITS-1:0]   feed_addr,
    input  wire [LANES*8-1:0] feed_data,
    output wire               res_req,
    output wire [ABITS-1:0]   res_addr,
    input  wire [LANES*8-1:0] res_data,
    output reg                out_req,
    output wire [ABITS-1:0]   out_addr,
    output wire [LANES*8-1:0] out_data,
    input  wire               wgt_we,
    input  wire [WBITS-1:0]   wgt_addr,
    input  wire [LANES*8-1:0] wgt_data,
    input  wire [LANES-1:0]   par_we,
    input  wire [PBITS-1:0]   par_addr,
    input  wire [LANES*64-1:0] par_data
);
    localparam OWN = (LANES < 9) ? LANES : 9;
    localparam W = LANES * 8;

    // Weights.
    wire mine, tile_ready, claim, claim_last, wre, wload_en, wload_only, wload_zero, wfault, sfault;
    wire [511:0] instr;
    wire [WBITS-1:0] wraddr;
    wire [5:0] wrow;
    wire [W-1:0] wrdata;
    ew_wload #(.LANES(LANES), .WBITS(WBITS)) wload (
        .clk(clk), .rst(rst), .head_ok(head_ok), .head(head), .begins(pop), .mine(mine), .instr(instr),
        .claim(claim), .claim_last(claim_last), .ready(tile_ready), .re(wre), .raddr(wraddr),
        .load(wload_en), .load_only(wload_only), .load_zero(wload_zero), .load_row(wrow), .fault(wfault)
    );
    ew_ram #(.WIDTH(W), .DEPTH(WGT_DEPTH)) weights (
        .clk(clk), .we(wgt_we), .waddr(wgt_addr), .wdata(wgt_data), .re(wre), .raddr(wraddr), .rdata(wrdata)
    );

    // Sequencer.
    reg taken, ffault;
    wire take, walking, room, waits, fire, inner, tile_first, emit, first, last, ends, own, win, set;
    wire s_inside, s_second, s_tile_first, s_tile_final, s_emit, s_first, s_last, s_end, s_own, s_window, s_set;
    wire [3:0] pass, s_pass;
    wire [CBITS-1:0] acc, s_acc;
    wire [LBITS-1:0] column, s_column;
    wire [PBITS-1:0] par, s_par;
    wire [ABITS-1:0] out_at, s_at, s_res, s_out;
    reg [1:0] in_flight;
    wire over;
    ew_seq #(.LANES(LANES), .ABITS(ABITS), .PBITS(PBITS), .CBITS(CBITS), .LBITS(LBITS), .LINE(LINE)) seq (
        .clk(clk), .rst(rst), .take_ok(mine && !taken), .instr(instr), .take(take), .in_flight(in_flight - {1'b0, over}),
        .room(room), .active(walking), .o_inside(s_inside), .o_second(s_second), .o_tile_first(s_tile_first),
        .o_tile_final(s_tile_final), .o_emit(s_emit), .o_first(s_first), .o_last(s_last), .o_end(s_end), .o_own(s_own),
        .window(s_window), .pass(s_pass), .o_set(s_set), .acc(s_acc), .column(s_column), .o_par(s_par), .o_at(s_at),
        .o_res(s_res), .o_out(s_out), .fault(sfault)
    );
    ew_issue #(.ABITS(ABITS), .PBITS(PBITS), .CBITS(CBITS), .LBITS(LBITS)) issue (
        .clk(clk), .rst(rst), .there(walking), .room(room), .n_inside(s_inside), .n_second(s_second),
        .n_tile_first(s_tile_first), .n_tile_final(s_tile_final), .n_emit(s_emit), .n_first(s_first), .n_last(s_last),
        .n_end(s_end), .n_own(s_own), .n_window(s_window), .n_set(s_set), .n_pass(s_pass), .n_acc(s_acc),
        .n_column(s_column), .n_par(s_par), .n_at(s_at), .n_res(s_res), .n_out(s_out),
        .tile_ready(tile_ready), .claim(claim), .claim_last(claim_last),
        .feed_req(feed_req), .feed_addr(feed_addr), .res_req(res_req), .res_addr(res_addr),
        .waits(waits), .fire(fire), .inner(inner), .tile_first(tile_first), .emit(emit), .first(first), .last(last),
        .ends(ends), .own(own), .window(win), .set(set), .pass(pass), .acc(acc), .column(column), .par(par),
        .out_at(out_at)
    );
    reg [511:0] config0, config1;
    always @(posedge clk) begin
        if (take && s_set) config0 <= instr;
        if (take && !s_set) config1 <= instr;
        if (rst) taken <= 0;
        else if (pop) taken <= 0;
        else if (take) taken <= 1;
        if (rst) in_flight <= 0;
        else in_flight <= in_flight + {1'b0, take} - {1'b0, over};
    end
    assign begins = take;
    assign busy = walking || mine || in_flight != 0;
    assign stalled = (walking || waits) && !fire;
    assign fault = wfault || sfault || ffault;

    // What travels with a position; index = stage.
    reg [17:1] v, emits, lasts, sets, end_s, firsts;
    reg [2:1] inside_s, tfirst, wins;
    reg [3:1] owns;
    reg [3:0] pass1, pass2;
    reg [CBITS-1:0] acc_s [1:5];
    reg [PBITS-1:0] par_s [1:7];
    reg [LBITS-1:0] column1;
    assign over = v[17] && end_s[17];
    integer i;
    always @(posedge clk) begin
        v <= {v[16:1], fire};
        emits <= {emits[16:1], emit};
        lasts <= {lasts[16:1], last};
        firsts <= {firsts[16:1], first};
        sets <= {sets[16:1], set};
        end_s <= {end_s[16:1], ends};
        inside_s <= {inside_s[1], inner};
        tfirst <= {tfirst[1], tile_first};
        owns <= {owns[2:1], own};
        wins <= {wins[1], win};
        pass1 <= pass;
        pass2 <= pass1;
        column1 <= column;
        acc_s[1] <= acc;
        par_s[1] <= par;
        for (i = 2; i < 6; i = i + 1) acc_s[i] <= acc_s[i-1];
        for (i = 2; i < 8; i = i + 1) par_s[i] <= par_s[i-1];
        if (rst) v <= 0;
    end

    // Stages 2 and 3: the vector, or what stands for padding; the window; the array.
    wire [7:0] fill = sets[2] ? config1[`EW_COMPUTE_FILL] : config0[`EW_COMPUTE_FILL];
    wire [W-1:0] vec2 = inside_s[2] ? feed_data : {LANES{fill}};
    wire [OWN*W-1:0] window3;
    reg [W-1:0] vec3;
    always @(posedge clk) vec3 <= vec2;
    ew_window #(.LANES(LANES), .LINE(LINE)) line (
        .clk(clk), .look(v[1] && wins[1]), .column(column1), .shift(v[2] && owns[2]), .single(!wins[2]),
        .pass(pass2), .vec(vec2), .window(window3)
    );
    wire [LANES*32-1:0] sums7, result8;
    ew_array #(.LANES(LANES)) array (
        .clk(clk), .load(wload_en), .load_only(wload_only), .load_row(wrow),
        .load_data(wload_zero ? {W{1'b0}} : wrdata), .swap(v[2] && tfirst[2]), .own(owns[3]), .vec(vec3),
        .window(window3), .sums(sums7)
    );
    wire largest = sets[7] ? config1[`EW_COMPUTE_MAX] : config0[`EW_COMPUTE_MAX];
    ew_acc #(.LANES(LANES), .DEPTH(ACC_DEPTH)) partial (
        .clk(clk), .look(v[5] && emits[5]), .look_at(acc_s[5]), .valid(v[7] && emits[7]), .first(firsts[7]),
        .last(lasts[7]), .largest(largest), .sums(sums7), .result(result8)
    );

    // Stages 8 to 17: post-processing.
    wire second_ok, places_ok, second_over, places_over;
    wire [W-1:0] other;
    reg [2:1] res_coming;
    always @(posedge clk) res_coming <= rst ? 2'b00 : {res_coming[1], res_req};
    wire res13 = sets[13] ? config1[`EW_COMPUTE_RESIDUAL] : config0[`EW_COMPUTE_RESIDUAL];
    wire write13 = v[13] && emits[13] && lasts[13];
    ew_fifo #(.WIDTH(W), .DEPTH(32)) second (
        .clk(clk), .rst(rst), .push(res_coming[2]), .word(res_data), .pop(write13 && res13), .head(other),
        .valid(second_ok), .full(), .count(), .overflow(second_over)
    );
    always @(posedge clk) out_req <= v[16] && emits[16] && lasts[16] && !rst;
    ew_fifo #(.WIDTH(ABITS), .DEPTH(32)) places (
        .clk(clk), .rst(rst), .push(fire && emit && last), .word(out_at), .pop(out_req), .head(out_addr),
        .valid(places_ok), .full(), .count(), .overflow(places_over)
    );
    always @(posedge clk)
        if (rst) begin
            retired <= 0;
            ffault <= 0;
        end else begin
            if (over) retired <= retired + 1'b1;
            if (second_over || places_over || (v[17] && end_s[17] && &retired)) ffault <= 1;
        end

    wire unused = &{1'b0, config0, config1, par_data, sets[17], firsts[17], emits[17], lasts[17], places_ok, second_ok};
    // Settings of the lanes, taken up in the cycle before they are used: an instruction's stay until its last position is
    // written. What the two zero points of an addition come to is the same for all lanes.
    reg signed [7:0] zero12, lo12, hi12, res_zero12, sum_zero16, sum_lo16, sum_hi16;
    reg [15:0] mul_a12, mul_b12, mul_a13, mul_b13;
    reg signed [24:0] zero_a13, zero_b13;
    reg signed [25:0] zeros14;
    reg [5:0] shift15;
    reg residual16;
    wire signed [16:0] factor_a12 = {1'b0, mul_a12};
    wire signed [16:0] factor_b12 = {1'b0, mul_b12};
    always @(posedge clk) begin
        zero12 <= sets[11] ? config1[`EW_COMPUTE_ZERO] : config0[`EW_COMPUTE_ZERO];
        lo12 <= sets[11] ? config1[`EW_COMPUTE_LO] : config0[`EW_COMPUTE_LO];
        hi12 <= sets[11] ? config1[`EW_COMPUTE_HI] : config0[`EW_COMPUTE_HI];
        res_zero12 <= sets[11] ? config1[`EW_COMPUTE_RES_ZERO] : config0[`EW_COMPUTE_RES_ZERO];
        mul_a12 <= sets[11] ? config1[`EW_COMPUTE_MUL_A] : config0[`EW_COMPUTE_MUL_A];
        mul_b12 <= sets[11] ? config1[`EW_COMPUTE_MUL_B] : config0[`EW_COMPUTE_MUL_B];
        mul_a13 <= mul_a12;
        mul_b13 <= mul_b12;
        zero_a13 <= zero12 * factor_a12;
        zero_b13 <= res_zero12 * factor_b12;
        zeros14 <= zero_a13 + zero_b13;
        shift15 <= sets[14] ? config1[`EW_COMPUTE_RES_SHIFT] : config0[`EW_COMPUTE_RES_SHIFT];
        residual16 <= sets[15] ? config1[`EW_COMPUTE_RESIDUAL] : config0[`EW_COMPUTE_RESIDUAL];
        sum_zero16 <= sets[15] ? config1[`EW_COMPUTE_SUM_ZERO] : config0[`EW_COMPUTE_SUM_ZERO];
        sum_lo16 <= sets[15] ? config1[`EW_COMPUTE_SUM_LO] : config0[`EW_COMPUTE_SUM_LO];
        sum_hi16 <= sets[15] ? config1[`EW_COMPUTE_SUM_HI] : config0[`EW_COMPUTE_SUM_HI];
    end
    genvar c;
    generate
        for (c = 0; c < LANES; c = c + 1) begin : lane
            wire [53:0] entry;
            ew_ram #(.WIDTH(54), .DEPTH(PAR_DEPTH)) entries (
                .clk(clk), .we(par_we[c]), .waddr(par_addr), .wdata(par_data[c*64+:54]),
                .re(v[7]), .raddr(par_s[7]), .rdata(entry)
            );
            ew_ppu ppu (
                .clk(clk), .sum(result8[c*32+:32]), .par(entry), .zero4(zero12), .lo(lo12), .hi(hi12),
                .other(other[c*8+:8]), .mul_a(mul_a13), .mul_b(mul_b13), .zeros6(zeros14), .shift7(shift15),
                .residual(residual16), .sum_zero(sum_zero16), .sum_lo(sum_lo16), .sum_hi(sum_hi16),
                .out(out_data[c*8+:8])
            );
        end
    endgenerate
endmodule
