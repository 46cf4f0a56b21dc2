// Store queue: reads vectors of activations and writes them to memory, row by row. What would be written outside of the
// memory is not: it is a fault.
module ew_store #(
    parameter LANES = 16,
    parameter PORT = 8,
    parameter ABITS = 13
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               head_ok,
    input  wire [511:0]       head,
    output wire               pop,
    output reg  [15:0]        retired,
    output reg                busy,
    output reg                fault,
    input  wire [31:0]        limit,
    output wire               act_req,
    output wire [ABITS-1:0]   act_addr,
    input  wire               act_gnt,
    input  wire [LANES*8-1:0] act_data,
    output wire               w_valid,
    input  wire               w_ready,
    output wire [31:0]        w_addr,
    output wire [PORT*8-1:0]  w_data,
    input  wire               w_done
);
    localparam W = LANES * 8;
    localparam SHIFT = (PORT == 16) ? 4 : 3;
    localparam [31:0] N_PER = (LANES > PORT) ? LANES / PORT : 1, N_TAKES = (LANES < PORT) ? PORT / LANES : 1;
    localparam [31:0] N_BYTES = PORT;
    localparam [17:0] PER = N_PER[17:0], TAKES = N_TAKES[17:0];     // beats of a vector, vectors of a beat

    reg [31:0] dram_stride, row_to;
    reg [32:0] to;
    reg [19:0] sram_stride, row_at;
    reg [20:0] at;
    reg [15:0] len, read_rows, left, rows;
    reg [17:0] read_left;
    reg [9:0]  open;
    reg        reading;
    wire [15:0] h_len = head[`EW_STORE_LEN];
    wire bad = head[`EW_STORE_ROWS] == 0 || h_len == 0 || (h_len & (PER[15:0] - 16'd1)) != 0;
    wire unused = &{1'b0, head};
    assign pop = !busy && head_ok;

    // Vectors that were read and wait for their turn; room is kept for those on their way.
    wire [W-1:0] vec;
    wire vec_valid, over;
    wire [3:0] waiting;
    reg [2:1] coming;
    wire [4:0] spoken_for = {1'b0, waiting} + {4'd0, coming[1]} + {4'd0, coming[2]};
    assign act_req = reading && spoken_for < 6;
    assign act_addr = at[ABITS-1:0];
    wire vec_pop;
    ew_fifo #(.WIDTH(W), .DEPTH(8)) ready (
        .clk(clk), .rst(rst), .push(coming[2]), .word(act_data), .pop(vec_pop), .head(vec),
        .valid(vec_valid), .full(), .count(waiting), .overflow(over)
    );

    // A beat is there, and may go: its address is one, and few enough are not confirmed yet.
    reg [31:0] highest;
    reg        none;
    wire beat_valid;
    wire beyond = to[32] || none || to[31:0] > highest || to[SHIFT-1:0] != 0;
    assign w_valid = beat_valid && !beyond && !open[9];
    assign w_addr = to[31:0];
    wire sent = w_valid && w_ready;
    generate
        if (LANES == PORT) begin : same
            assign w_data = vec;
            assign beat_valid = vec_valid;
            assign vec_pop = sent;
        end else if (LANES > PORT) begin : cut
            localparam [31:0] N1 = LANES / PORT - 1;
            reg [1:0] part;
            wire final_part = part == N1[1:0];
            assign w_data = vec[part*PORT*8+:PORT*8];
            assign beat_valid = vec_valid;
            assign vec_pop = sent && final_part;
            always @(posedge clk)
                if (pop || rst) part <= 0;
                else if (sent) part <= final_part ? 2'd0 : part + 1'b1;
        end else begin : gather
            localparam [31:0] N = PORT / LANES;
            reg [PORT*8-1:0] beat;
            reg [2:0] have;
            wire complete = have == N[2:0];
            assign w_data = beat;
            assign beat_valid = complete;
            assign vec_pop = vec_valid && (!complete || sent);
            always @(posedge clk) begin
                if (pop || rst) have <= 0;
                else if (vec_pop) have <= complete ? 3'd1 : have + 1'b1;
                else if (sent) have <= 0;
                if (vec_pop) beat <= {vec, beat[PORT*8-1:W]};
            end
        end
    endgenerate

    wire [32:0] next_to = {1'b0, row_to} + {1'b0, dram_stride};
    wire [20:0] next_at = {1'b0, row_at} + {1'b0, sram_stride};
    wire row_read = read_left == PER;
    always @(posedge clk) begin
        highest <= limit - N_BYTES;
        none <= limit < N_BYTES;
        coming <= {coming[1], act_gnt};
        if (act_gnt) begin
            at <= row_read ? next_at : at + 1'b1;
            read_left <= row_read ? len * TAKES : read_left - PER;
            if (row_read) begin
                row_at <= next_at[19:0];
                read_rows <= read_rows - 1'b1;
                if (read_rows == 1) reading <= 0;
            end
        end
        if (sent) begin
            to <= to + {1'b0, N_BYTES};
            left <= left - 1'b1;
            if (left == 1) begin
                left <= len;
                to <= next_to;
                row_to <= next_to[31:0];
                rows <= rows - 1'b1;
            end
        end
        open <= open + {9'd0, sent} - {9'd0, w_done};
        if (busy && rows == 0 && open == 0) begin
            busy <= 0;
            retired <= retired + 1'b1;
            if (&retired) fault <= 1;
        end
        if (pop) begin
            busy <= 1;
            reading <= !bad;
        end
        if (!busy) begin                        // whether or not it begins: many bits, and none is looked at before
            dram_stride <= head[`EW_STORE_DRAM_STRIDE]; sram_stride <= head[`EW_STORE_SRAM_STRIDE];
            row_to <= head[`EW_STORE_DRAM]; to <= {1'b0, head[`EW_STORE_DRAM]};
            row_at <= head[`EW_STORE_SRAM]; at <= {1'b0, head[`EW_STORE_SRAM]};
            len <= h_len; left <= h_len;
            read_left <= h_len * TAKES;
            read_rows <= head[`EW_STORE_ROWS]; rows <= head[`EW_STORE_ROWS];
        end
        if ((pop && bad) || (act_gnt && (at >> ABITS) != 0) || (beat_valid && beyond) || over) fault <= 1;
        if (rst) begin
            busy <= 0; reading <= 0; coming <= 0; open <= 0; retired <= 0; fault <= 0; rows <= 0;
        end
    end
endmodule
