// Load queue: reads rows from memory into activations, weights or parameters; raw image rows can be expanded on the way
// (`ew_expand`). Numbers that make no sense, and addresses outside of a memory, are faults.
module ew_load #(
    parameter LANES = 16,
    parameter PORT = 8,
    parameter ABITS = 13,
    parameter WBITS = 12,
    parameter PBITS = 7,
    parameter RAW = 1024
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                head_ok,
    input  wire [511:0]        head,
    output wire                pop,
    output reg  [15:0]         retired,
    output wire                busy,
    output reg                 fault,
    input  wire [31:0]         limit,
    output wire                ar_valid,
    input  wire                ar_ready,
    output wire [31:0]         ar_addr,
    output wire [7:0]          ar_len,
    input  wire                r_valid,
    output wire                r_ready,
    input  wire [PORT*8-1:0]   r_data,
    output wire                act_req,
    output wire [ABITS-1:0]    act_addr,
    output wire [LANES*8-1:0]  act_data,
    input  wire                act_gnt,
    output wire                wgt_we,
    output wire [WBITS-1:0]    wgt_addr,
    output wire [LANES*8-1:0]  wgt_data,
    output wire [LANES-1:0]    par_we,
    output wire [PBITS-1:0]    par_addr,
    output wire [LANES*64-1:0] par_data
);
    localparam W = LANES * 8;
    localparam SHIFT = (PORT == 16) ? 4 : 3;
    localparam [15:0] BURST = 16'd32;
    localparam [31:0] N_VECTOR = (LANES > PORT) ? LANES / PORT : 1, N_ENTRY = LANES * 8 / PORT, N_RAW = RAW / PORT;
    localparam [15:0] VECTOR = N_VECTOR[15:0];      // beats of a vector
    localparam [15:0] ENTRY = N_ENTRY[15:0];        // beats of an entry of parameters
    localparam [15:0] LONGEST = N_RAW[15:0];        // beats of a raw row

    // Numbers that there are none of.
    wire [15:0] h_len = head[`EW_LOAD_LEN];
    wire [1:0] h_memory = head[`EW_LOAD_MEMORY];
    wire [15:0] h_unit = (h_memory == 2'd2) ? ENTRY : VECTOR;
    wire bad_run = h_memory != 2'd0 || head[`EW_LOAD_RUN] == 0 || head[`EW_LOAD_OUTPUTS] == 0 || h_len > LONGEST;
    wire bad = head[`EW_LOAD_ROWS] == 0 || h_len == 0 || h_memory == 2'd3 || (h_len & (h_unit - 16'd1)) != 0
        || (head[`EW_LOAD_EXPAND] && bad_run);
    wire unused = &{1'b0, head};

    // Requests run ahead: while the answers of one load come in, the next one asks already.
    reg         asking;
    reg  [31:0] dram_stride, ask_row;
    reg  [32:0] ask_at;
    reg  [15:0] ask_len, ask_left, ask_rows;
    wire        todo_full, todo_valid, todo_over;
    wire [96:0] todo_word = {
        head[`EW_LOAD_SRAM], head[`EW_LOAD_SRAM_STRIDE], head[`EW_LOAD_ROWS], h_len, h_memory, head[`EW_LOAD_EXPAND],
        head[`EW_LOAD_OUTPUTS], head[`EW_LOAD_STEP], head[`EW_LOAD_RUN]
    };
    wire [96:0] todo;
    wire        begins;
    assign pop = !asking && head_ok && !todo_full;
    ew_fifo #(.WIDTH(97), .DEPTH(4)) answers (
        .clk(clk), .rst(rst), .push(pop), .word(todo_word), .pop(begins), .head(todo), .valid(todo_valid),
        .full(todo_full), .count(), .overflow(todo_over)
    );

    // What the answers that come in now are for.
    reg         receiving, expand;
    reg  [15:0] in_beats, in_rows, len, rows;
    reg  [19:0] sram_stride;
    reg  [1:0]  memory;
    reg  [9:0]  outputs;
    reg  [7:0]  step;
    reg  [3:0]  run;
    assign begins = todo_valid && !receiving;
    assign busy = asking || todo_valid || receiving;

    // Rows are cut into bursts; few enough are open at a time for the queue that tells whose answer comes.
    reg  [11:0] open;
    wire        last_burst = ask_left <= BURST;
    wire [15:0] ask_now = last_burst ? ask_left : BURST;
    assign ar_valid = asking && open <= 12'd224;
    assign ar_addr = ask_at[31:0];
    assign ar_len = ask_now[7:0] - 8'd1;
    wire        asked = ar_valid && ar_ready;
    wire        beat = r_valid && r_ready;
    reg         takes;                              // a row is still to come
    wire        there = r_valid && takes;
    wire [32:0] ask_end = {1'b0, ask_at[31:0]} + ({17'd0, ask_now} << SHIFT);
    wire [32:0] next_row = {1'b0, ask_row} + {1'b0, dram_stride};
    wire        ask_beyond = ask_at[32] || ask_end > {1'b0, limit} || ask_at[SHIFT-1:0] != 0;

    // Beats become vectors: several to one, one to one, or one to several.
    wire         vec_valid, vec_taken;
    wire         to_par = memory == 2'd2;
    wire [W-1:0] vec;
    generate
        if (LANES == PORT) begin : same
            assign vec = r_data;
            assign vec_valid = there && !to_par;
            assign r_ready = takes && (to_par || vec_taken);
        end else if (LANES > PORT) begin : gather
            localparam N = LANES / PORT;
            localparam [31:0] N1 = N - 1;
            reg [(N-1)*PORT*8-1:0] parts;
            reg [1:0] have;
            wire complete = have == N1[1:0];
            assign vec = {r_data, parts};
            assign vec_valid = there && complete && !to_par;
            assign r_ready = takes && (to_par || !complete || vec_taken);
            always @(posedge clk) begin
                if (begins || rst) have <= 0;
                else if (beat && !to_par) have <= complete ? 2'd0 : have + 1'b1;
            end
            if (N > 2) begin : many
                always @(posedge clk) if (beat) parts <= {r_data, parts[(N-1)*PORT*8-1:PORT*8]};
            end else begin : two
                always @(posedge clk) if (beat) parts <= r_data;
            end
        end else begin : spread
            localparam N = PORT / LANES;
            localparam [31:0] N1 = N - 1;
            reg [1:0] part;
            wire final_part = part == N1[1:0];
            assign vec = r_data[part*W+:W];
            assign vec_valid = there && !to_par;
            assign r_ready = takes && (to_par || (vec_taken && final_part));
            always @(posedge clk)
                if (begins || rst) part <= 0;
                else if (vec_valid && vec_taken) part <= final_part ? 2'd0 : part + 1'b1;
        end
    endgenerate

    // Where the next vector goes.
    reg  [19:0] row_at;
    reg  [20:0] at;
    wire [20:0] next_place = {1'b0, row_at} + {1'b0, sram_stride};
    wire plain = memory == 2'd0 && !expand;
    wire to_raw = memory == 2'd0 && expand;
    wire raw_room;
    assign vec_taken = (memory == 2'd1) || (plain && act_gnt) || (to_raw && raw_room);
    wire stored = vec_valid && vec_taken;
    wire row_over = beat && in_beats == len - 1'b1;
    wire beyond = (memory == 2'd0) ? (at >> ABITS) != 0 : (memory == 2'd1) ? (at >> WBITS) != 0 : (at >> PBITS) != 0;
    assign wgt_we = stored && memory == 2'd1;
    assign wgt_addr = at[WBITS-1:0];
    assign wgt_data = vec;

    // Parameters: a beat is the entry of one lane, or of two.
    localparam PAR_N = PORT / 8;
    localparam [31:0] PAR_LAST = LANES / PAR_N - 1;
    reg [5:0] lane;
    wire par_beat = beat && to_par;
    wire entry_over = par_beat && lane == PAR_LAST[5:0];
    assign par_addr = at[PBITS-1:0];
    genvar g;
    generate
        for (g = 0; g < LANES; g = g + 1) begin : param
            localparam [31:0] BEAT = g / PAR_N;
            assign par_we[g] = par_beat && lane == BEAT[5:0];
            assign par_data[g*64+:64] = r_data[(g%PAR_N)*64+:64];
        end
    endgenerate

    // Raw rows.
    wire cut_req, cut_done, cut_beyond;
    wire [ABITS-1:0] cut_addr;
    wire [W-1:0] cut_data;
    ew_expand #(.LANES(LANES), .ABITS(ABITS), .RAW(RAW)) raw (
        .clk(clk), .rst(rst), .begins(begins), .sram(todo[96:77]), .active(receiving && to_raw), .rows(rows),
        .sram_stride(sram_stride), .outputs(outputs), .step(step), .run(run),
        .put(stored && to_raw), .vec(vec), .row_over(row_over && to_raw), .room(raw_room),
        .act_req(cut_req), .act_addr(cut_addr), .act_data(cut_data), .act_gnt(act_gnt),
        .done(cut_done), .fault(cut_beyond)
    );
    assign act_req = expand ? cut_req : (plain && vec_valid);
    assign act_addr = expand ? cut_addr : at[ABITS-1:0];
    assign act_data = expand ? cut_data : vec;

    always @(posedge clk) begin
        open <= open + (asked ? ask_now[11:0] : 12'd0) - {11'd0, beat};
        if (asked) begin
            ask_left <= last_burst ? ask_len : ask_left - BURST;
            ask_at <= last_burst ? next_row : ask_end;
            if (last_burst) begin
                ask_row <= next_row[31:0];
                ask_rows <= ask_rows - 1'b1;
                if (ask_rows == 1) asking <= 0;
            end
        end
        if (beat) in_beats <= row_over ? 16'd0 : in_beats + 1'b1;
        if (row_over) in_rows <= in_rows + 1'b1;
        if (row_over && in_rows + 1'b1 == rows) takes <= 0;
        if (par_beat) lane <= entry_over ? 6'd0 : lane + 1'b1;
        if ((stored && !to_raw) || entry_over) at <= at + 1'b1;
        if (row_over && !to_raw) begin
            row_at <= next_place[19:0];
            at <= next_place;
        end
        if (receiving && !takes && (!expand || cut_done)) begin
            receiving <= 0;
            retired <= retired + 1'b1;
            if (&retired) fault <= 1;
        end
        if (pop) begin
            asking <= !bad;
        end
        if (!asking) begin                      // whether or not it begins: many bits, and none is looked at before
            ask_at <= {1'b0, head[`EW_LOAD_DRAM]}; ask_row <= head[`EW_LOAD_DRAM];
            ask_len <= h_len; ask_left <= h_len; ask_rows <= head[`EW_LOAD_ROWS];
            dram_stride <= head[`EW_LOAD_DRAM_STRIDE];
        end
        if (begins) begin
            receiving <= 1; takes <= 1;
            {at, sram_stride, rows, len, memory, expand, outputs, step, run} <= {1'b0, todo};
            row_at <= todo[96:77];
            in_beats <= 0; in_rows <= 0; lane <= 0;
        end
        if ((pop && bad) || (asked && ask_beyond) || (((stored && !to_raw) || entry_over) && beyond) || cut_beyond || todo_over)
            fault <= 1;
        if (rst) begin
            receiving <= 0; takes <= 0; asking <= 0; open <= 0; retired <= 0; fault <= 0; memory <= 0; expand <= 0;
        end
    end
endmodule
