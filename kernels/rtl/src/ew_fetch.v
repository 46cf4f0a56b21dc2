// Reads the program and hands every instruction to its queue. FINISH stops it; so does an opcode that there is none of.
module ew_fetch #(
    parameter PORT = 8
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              start,
    input  wire [31:0]       program_at,
    input  wire [31:0]       limit,
    output wire              ar_valid,
    input  wire              ar_ready,
    output wire [31:0]       ar_addr,
    output wire [7:0]        ar_len,
    input  wire              r_valid,
    input  wire [PORT*8-1:0] r_data,
    input  wire              load_full,
    input  wire              store_full,
    input  wire              compute_full,
    output wire [511:0]      word,
    output wire              load_push,
    output wire              store_push,
    output wire              compute_push,
    output wire              blocked,           // the next instruction finds its queue full
    output reg               finished,
    output reg               fault
);
    // Four instructions are asked for at a time, and only when there is room for them: answers to loads come behind.
    localparam [31:0] BEATS = 64 / PORT, LAST = BEATS - 1, ALL = 4 * BEATS - 1;
    reg [31:0] at;
    reg        running, asked;
    reg [2:0]  have;
    reg [1:0]  of_four;
    reg [511-PORT*8:0] parts;
    wire [511:0] whole = {r_data, parts};
    wire       there, over;
    wire [3:0] waiting;
    wire [3:0] op = word[3:0];
    wire       complete = r_valid && have == LAST[2:0];
    reg few;                                    // there is room for four more
    assign ar_valid = running && !asked && few;
    assign ar_addr = at;
    assign ar_len = ALL[7:0];
    wire ready = there && running;
    assign load_push = ready && op == 4'd1 && !load_full;
    assign store_push = ready && op == 4'd2 && !store_full;
    assign compute_push = ready && op == 4'd3 && !compute_full;
    assign blocked = ready && ((op == 4'd1 && load_full) || (op == 4'd2 && store_full) || (op == 4'd3 && compute_full));
    wire done = load_push || store_push || compute_push;
    wire beyond = {1'b0, at} + 33'd256 > {1'b0, limit} || at[3:0] != 0;
    ew_fifo #(.WIDTH(512), .DEPTH(8)) ahead (
        .clk(clk), .rst(rst), .push(complete && running), .word(whole), .pop(done), .head(word), .valid(there),
        .full(), .count(waiting), .overflow(over)
    );
    always @(posedge clk) begin
        if (ar_valid && ar_ready) begin
            asked <= 1;
            at <= at + 32'd256;
        end
        if (r_valid) begin
            parts <= whole[511:PORT*8];
            have <= complete ? 3'd0 : have + 1'b1;
        end
        few <= (complete && running) ? waiting < 4 : waiting <= 4;
        if (complete) begin
            of_four <= of_four + 1'b1;
            if (of_four == 2'd3) asked <= 0;
        end
        if (ready && op == 4'd4) begin
            running <= 0;
            finished <= 1;
        end
        if (ready && (op == 4'd0 || op > 4'd4)) begin
            running <= 0;
            fault <= 1;
        end
        if (start) begin
            running <= 1;
            finished <= 0;
            at <= program_at;
        end
        if (over || (ar_valid && ar_ready && beyond)) fault <= 1;
        if (rst) begin
            running <= 0; asked <= 0; finished <= 0; fault <= 0; have <= 0; of_four <= 0;
        end
    end
endmodule
