// The accelerator: three queues, memories on the chip, one memory port. A program is started with `start`; `done` or
// `fault` is high from its end until the next reset. Waits are held against the counts of retired instructions.
module ew_core #(
    parameter LANES = 16,
    parameter PORT = 8,
    parameter ACT_DEPTH = 8192,
    parameter WGT_DEPTH = 4096,
    parameter PAR_DEPTH = 128,
    parameter ACC_DEPTH = 256,
    parameter LINE = 128,
    parameter RAW = 1024,
    parameter QUEUE = 8
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              start,
    input  wire [31:0]       program_at,
    input  wire [31:0]       limit,
    output wire              done,
    output wire              fault,
    output wire [5:0]        faults,
    // Memory port: reads are answered in order; writes carry their address.
    output wire              ar_valid,
    input  wire              ar_ready,
    output wire [31:0]       ar_addr,
    output wire [7:0]        ar_len,
    input  wire              r_valid,
    output wire              r_ready,
    input  wire [PORT*8-1:0] r_data,
    output wire              w_valid,
    input  wire              w_ready,
    output wire [31:0]       w_addr,
    output wire [PORT*8-1:0] w_data,
    input  wire              w_done,
    // What the queues do in this cycle, and how far they are.
    output wire              load_busy,
    output wire              store_busy,
    output wire              compute_busy,
    output wire              compute_stalled,
    output wire [15:0]       load_retired,
    output wire [15:0]       store_retired,
    output wire [15:0]       compute_retired,
    output wire [2:0]        begins             // an instruction of load, store, compute begins
);
    localparam W = LANES * 8;
    localparam ABITS = $clog2(ACT_DEPTH);
    localparam WBITS = $clog2(WGT_DEPTH);
    localparam PBITS = $clog2(PAR_DEPTH);

    wire load_full, store_full, compute_full, load_push, store_push, compute_push;
    wire load_there, store_there, compute_there, load_pop, store_pop, compute_pop;
    wire [2:0] over;
    wire [511:0] word, load_head, store_head, compute_head;
    wire blocked, finished, fetch_fault, load_fault, store_fault, compute_fault;

    // One port for the program and for loads: the program first, answers in the order of the requests.
    wire f_ar_valid, l_ar_valid, l_r_ready, owner, owner_valid, owner_full, owner_over;
    wire [31:0] f_ar_addr, l_ar_addr;
    wire [7:0] f_ar_len, l_ar_len;
    reg [7:0] beat_in;
    wire [7:0] owner_len;
    wire f_go = f_ar_valid && !owner_full;
    wire l_go = l_ar_valid && !owner_full && !f_ar_valid;
    assign ar_valid = f_go || l_go;
    assign ar_addr = f_go ? f_ar_addr : l_ar_addr;
    assign ar_len = f_go ? f_ar_len : l_ar_len;
    wire beat = r_valid && r_ready;
    wire answer_over = beat && beat_in == owner_len;
    ew_fifo #(.WIDTH(9), .DEPTH(16)) owners (
        .clk(clk), .rst(rst), .push(ar_valid && ar_ready), .word({ar_len, f_go}), .pop(answer_over),
        .head({owner_len, owner}), .valid(owner_valid), .full(owner_full), .count(), .overflow(owner_over)
    );
    assign r_ready = owner_valid && (owner || l_r_ready);
    always @(posedge clk)
        if (rst) beat_in <= 0;
        else if (beat) beat_in <= answer_over ? 8'd0 : beat_in + 1'b1;

    ew_fetch #(.PORT(PORT)) fetch (
        .clk(clk), .rst(rst), .start(start), .program_at(program_at), .limit(limit),
        .ar_valid(f_ar_valid), .ar_ready(ar_ready && f_go), .ar_addr(f_ar_addr), .ar_len(f_ar_len),
        .r_valid(r_valid && owner_valid && owner), .r_data(r_data),
        .load_full(load_full), .store_full(store_full), .compute_full(compute_full), .word(word),
        .load_push(load_push), .store_push(store_push), .compute_push(compute_push), .blocked(blocked),
        .finished(finished), .fault(fetch_fault)
    );
    ew_fifo #(.WIDTH(512), .DEPTH(QUEUE)) loads (
        .clk(clk), .rst(rst), .push(load_push), .word(word), .pop(load_pop), .head(load_head), .valid(load_there),
        .full(load_full), .count(), .overflow(over[0])
    );
    ew_fifo #(.WIDTH(512), .DEPTH(QUEUE)) stores (
        .clk(clk), .rst(rst), .push(store_push), .word(word), .pop(store_pop), .head(store_head), .valid(store_there),
        .full(store_full), .count(), .overflow(over[1])
    );
    ew_fifo #(.WIDTH(512), .DEPTH(QUEUE)) computes (
        .clk(clk), .rst(rst), .push(compute_push), .word(word), .pop(compute_pop), .head(compute_head),
        .valid(compute_there), .full(compute_full), .count(), .overflow(over[2])
    );
    wire load_ok = load_there && compute_retired >= load_head[`EW_LOAD_WAIT_COMPUTE]
        && store_retired >= load_head[`EW_LOAD_WAIT_STORE];
    wire store_ok = store_there && compute_retired >= store_head[`EW_STORE_WAIT_COMPUTE]
        && load_retired >= store_head[`EW_STORE_WAIT_LOAD];
    wire compute_ok = compute_there && load_retired >= compute_head[`EW_COMPUTE_WAIT_LOAD]
        && store_retired >= compute_head[`EW_COMPUTE_WAIT_STORE];

    wire feed_req, res_req, a_store_req, a_store_gnt, out_req, a_load_req, a_load_gnt, wgt_we;
    wire [ABITS-1:0] feed_addr, res_addr, a_store_addr, out_addr, a_load_addr;
    wire [W-1:0] feed_data, res_data, a_store_data, out_data, a_load_data, wgt_data;
    wire [WBITS-1:0] wgt_addr;
    wire [LANES-1:0] par_we;
    wire [PBITS-1:0] par_addr;
    wire [LANES*64-1:0] par_data;
    ew_act #(.LANES(LANES), .DEPTH(ACT_DEPTH)) act (
        .clk(clk), .feed_req(feed_req), .feed_addr(feed_addr), .feed_data(feed_data),
        .res_req(res_req), .res_addr(res_addr), .res_data(res_data),
        .store_req(a_store_req), .store_addr(a_store_addr), .store_gnt(a_store_gnt), .store_data(a_store_data),
        .out_req(out_req), .out_addr(out_addr), .out_data(out_data),
        .load_req(a_load_req), .load_addr(a_load_addr), .load_data(a_load_data), .load_gnt(a_load_gnt)
    );
    ew_load #(.LANES(LANES), .PORT(PORT), .ABITS(ABITS), .WBITS(WBITS), .PBITS(PBITS), .RAW(RAW)) load (
        .clk(clk), .rst(rst), .head_ok(load_ok), .head(load_head), .pop(load_pop), .retired(load_retired),
        .busy(load_busy), .fault(load_fault), .limit(limit),
        .ar_valid(l_ar_valid), .ar_ready(ar_ready && l_go), .ar_addr(l_ar_addr), .ar_len(l_ar_len),
        .r_valid(r_valid && owner_valid && !owner), .r_ready(l_r_ready), .r_data(r_data),
        .act_req(a_load_req), .act_addr(a_load_addr), .act_data(a_load_data), .act_gnt(a_load_gnt),
        .wgt_we(wgt_we), .wgt_addr(wgt_addr), .wgt_data(wgt_data),
        .par_we(par_we), .par_addr(par_addr), .par_data(par_data)
    );
    ew_store #(.LANES(LANES), .PORT(PORT), .ABITS(ABITS)) store (
        .clk(clk), .rst(rst), .head_ok(store_ok), .head(store_head), .pop(store_pop), .retired(store_retired),
        .busy(store_busy), .fault(store_fault), .limit(limit),
        .act_req(a_store_req), .act_addr(a_store_addr), .act_gnt(a_store_gnt), .act_data(a_store_data),
        .w_valid(w_valid), .w_ready(w_ready), .w_addr(w_addr), .w_data(w_data), .w_done(w_done)
    );
    ew_compute #(
        .LANES(LANES), .ACT_DEPTH(ACT_DEPTH), .WGT_DEPTH(WGT_DEPTH), .PAR_DEPTH(PAR_DEPTH), .ACC_DEPTH(ACC_DEPTH),
        .LINE(LINE)
    ) compute (
        .clk(clk), .rst(rst), .head_ok(compute_ok), .head(compute_head), .pop(compute_pop), .retired(compute_retired),
        .begins(begins[2]), .busy(compute_busy), .stalled(compute_stalled), .fault(compute_fault),
        .feed_req(feed_req), .feed_addr(feed_addr), .feed_data(feed_data),
        .res_req(res_req), .res_addr(res_addr), .res_data(res_data),
        .out_req(out_req), .out_addr(out_addr), .out_data(out_data),
        .wgt_we(wgt_we), .wgt_addr(wgt_addr), .wgt_data(wgt_data),
        .par_we(par_we), .par_addr(par_addr), .par_data(par_data)
    );
    // Nothing runs, nothing may begin, and nothing comes that could change this.
    wire some = load_there || store_there || compute_there;
    wire idle = !load_busy && !store_busy && !compute_busy && !load_ok && !store_ok && !compute_ok;
    reg stuck;
    always @(posedge clk) stuck <= !rst && (stuck || (some && idle && (finished || blocked)));
    assign begins[1:0] = {store_pop, load_pop};
    wire quiet = !some && !load_busy && !store_busy && !compute_busy;
    assign faults = {over != 0 || owner_over, fetch_fault, load_fault, store_fault, compute_fault, stuck};
    assign fault = faults != 0;
    assign done = finished && quiet && !fault;
endmodule
