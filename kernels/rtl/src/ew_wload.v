// Weight loader: brings the tiles of COMPUTE into the array's shadow, one ahead of the tile that is being used. A tile
// has LANES rows, or one (the other rows become zero) in the mode that takes taps one by one.
module ew_wload #(
    parameter LANES = 16,
    parameter WBITS = 12
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             head_ok,
    input  wire [511:0]     head,
    output wire             begins,
    output reg              mine,
    output reg  [511:0]     instr,
    input  wire             claim,
    input  wire             claim_last,
    output reg              ready,
    output wire             re,
    output wire [WBITS-1:0] raddr,
    output reg              load,
    output reg              load_only,
    output reg              load_zero,
    output reg  [5:0]       load_row,
    output reg              fault
);
    localparam [31:0] N_LAST = LANES - 1, N_PASS = (9 + LANES - 1) / LANES - 1;
    localparam [5:0] LAST = N_LAST[5:0];
    localparam [3:0] LAST_PASS = N_PASS[3:0];
    localparam VBITS = $clog2(LANES);
    reg        busy, full, window, taps, final_row;
    reg [20:0] at;
    reg [5:0]  row;
    reg [3:0]  pass;
    wire [1:0] mode = head[`EW_COMPUTE_MODE];
    wire [9:0] tap = ({6'd0, pass} << VBITS) | {4'd0, row};
    assign re = busy;
    assign raddr = at[WBITS-1:0];
    assign begins = !mine && head_ok;
    always @(posedge clk) begin
        load <= busy;
        load_row <= row;
        load_only <= taps;
        load_zero <= window && tap > 8;
        // A tile is ready from the cycle on in which its last row is read.
        ready <= full || (busy && (final_row || row + 6'd1 == LAST));
        if (busy) begin
            at <= at + 1'b1;
            row <= final_row ? 6'd0 : row + 1'b1;
            final_row <= taps || (!final_row && row + 6'd1 == LAST);
            if (final_row) begin
                busy <= 0;
                full <= 1;
                pass <= (pass == LAST_PASS) ? 4'd0 : pass + 1'b1;
            end
            if ((at >> WBITS) != 0) fault <= 1;
        end
        if (claim) begin
            full <= 0;
            ready <= taps && !claim_last;
            if (claim_last) mine <= 0;
            else busy <= 1;
        end
        if (begins) begin
            mine <= 1;
            busy <= 1;
            ready <= mode == 2'd2;
        end
        if (!mine) begin                        // whether or not it begins: many bits, and none is looked at before
            instr <= head;
            at <= {1'b0, head[`EW_COMPUTE_WGT]};
            row <= 0;
            pass <= 0;
            window <= mode == 2'd1;
            taps <= mode == 2'd2;
            final_row <= mode == 2'd2;
        end
        if (rst) begin
            mine <= 0;
            busy <= 0;
            full <= 0;
            ready <= 0;
            load <= 0;
            fault <= 0;
        end
    end
endmodule
