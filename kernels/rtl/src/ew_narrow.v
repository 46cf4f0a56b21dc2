// The accelerator behind a bus of 16 bits each way, for a device with few pins: an external controller keeps the memory.
// Out: `kind` 1 read request (address low, high, beats - 1), 2 write (address low, high, then the beat, low word first),
// 0 nothing. In: words of the beats that were asked for, in order, and one pulse of `w_done` for each write.
module ew_narrow #(
    parameter LANES = 8,
    parameter PORT = 8,
    parameter ACT_DEPTH = 8192,
    parameter WGT_DEPTH = 4096,
    parameter PAR_DEPTH = 128,
    parameter ACC_DEPTH = 256,
    parameter LINE = 128,
    parameter RAW = 1024
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        start,
    output reg         done,
    output reg         fault,
    output reg  [1:0]  kind,
    output reg  [15:0] to_memory,
    input  wire        to_ready,
    input  wire        from_valid,
    output wire        from_ready,
    input  wire [15:0] from_memory,
    input  wire        w_done
);
    localparam WORDS = PORT / 2;
    wire ar_valid, r_ready, w_valid, core_done, core_fault;
    wire [31:0] ar_addr, w_addr;
    wire [7:0] ar_len;
    wire [PORT*8-1:0] w_data;

    // Out: one message at a time.
    reg [PORT*8+31:0] message;
    reg [3:0] left;
    reg [1:0] what;
    wire idle = left == 0;
    reg ar_ready, w_ready;                      // offered to one of the two, for a cycle
    wire ar_goes = ar_valid && ar_ready;
    wire w_goes = w_valid && w_ready;
    wire may_offer = idle && !ar_ready && !w_ready;
    wire out_go = kind == 0 || to_ready;

    // In: words are gathered into a beat, which waits for its turn while the next one's first words come.
    localparam [31:0] N_LAST = WORDS - 1, N_WRITE = WORDS + 2;
    localparam [3:0] LAST = N_LAST[3:0];
    reg [PORT*8-17:0] gathered;
    reg [PORT*8-1:0] beat;
    reg [3:0] have;
    reg full;
    wire complete = have == LAST;
    assign from_ready = !complete || !full;
    wire comes = from_valid && from_ready;
    always @(posedge clk) begin
        done <= core_done;
        fault <= core_fault;
        ar_ready <= may_offer && ar_valid;
        w_ready <= may_offer && w_valid && !ar_valid;
        if (ar_ready) message <= {{(PORT*8-16){1'b0}}, 8'd0, ar_len, ar_addr};
        if (w_ready) message <= {w_data, w_addr};
        if (ar_goes) begin
            left <= 4'd3;
            what <= 2'd1;
        end else if (w_goes) begin
            left <= N_WRITE[3:0];
            what <= 2'd2;
        end
        if (out_go) begin
            kind <= idle ? 2'd0 : what;
            to_memory <= message[15:0];
            if (!idle) begin
                message <= message >> 16;
                left <= left - 1'b1;
            end
        end
        if (full && r_ready) full <= 0;
        if (comes) begin
            gathered <= {from_memory, gathered[PORT*8-17:16]};
            have <= complete ? 4'd0 : have + 1'b1;
            if (complete) begin
                beat <= {from_memory, gathered};
                full <= 1;
            end
        end
        if (rst) begin
            left <= 0;
            have <= 0;
            full <= 0;
            kind <= 0;
            ar_ready <= 0;
            w_ready <= 0;
        end
    end
    ew_core #(
        .LANES(LANES), .PORT(PORT), .ACT_DEPTH(ACT_DEPTH), .WGT_DEPTH(WGT_DEPTH), .PAR_DEPTH(PAR_DEPTH),
        .ACC_DEPTH(ACC_DEPTH), .LINE(LINE), .RAW(RAW)
    ) core (
        .clk(clk), .rst(rst), .start(start), .program_at(32'd0), .limit(32'hFFFFFFFF), .done(core_done),
        .fault(core_fault), .faults(),
        .ar_valid(ar_valid), .ar_ready(ar_ready), .ar_addr(ar_addr), .ar_len(ar_len),
        .r_valid(full), .r_ready(r_ready), .r_data(beat),
        .w_valid(w_valid), .w_ready(w_ready), .w_addr(w_addr), .w_data(w_data), .w_done(w_done),
        .load_busy(), .store_busy(), .compute_busy(), .compute_stalled(),
        .load_retired(), .store_retired(), .compute_retired(), .begins()
    );
endmodule
