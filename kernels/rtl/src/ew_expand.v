// Raw image rows: each is kept in one half of a memory, while the row before it, in the other half, is cut into
// `outputs` runs that start `step` bytes apart and have `run` vectors each. Even and odd words lie in two banks, so that a
// run may begin at any byte. Bytes between the row's end and the memory's are what was there before.
module ew_expand #(
    parameter LANES = 16,
    parameter ABITS = 13,
    parameter RAW = 1024
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               begins,
    input  wire [19:0]        sram,
    input  wire               active,
    input  wire [15:0]        rows,
    input  wire [19:0]        sram_stride,
    input  wire [9:0]         outputs,
    input  wire [7:0]         step,
    input  wire [3:0]         run,
    input  wire               put,
    input  wire [LANES*8-1:0] vec,
    input  wire               row_over,
    output wire               room,
    output wire               act_req,
    output wire [ABITS-1:0]   act_addr,
    output wire [LANES*8-1:0] act_data,
    input  wire               act_gnt,
    output wire               done,
    output wire               fault
);
    localparam W = LANES * 8;
    localparam HALF = RAW / LANES / 2;              // words of a bank in one half
    localparam HBITS = (HALF > 2) ? $clog2(HALF) : 1;
    localparam VBITS = $clog2(LANES);
    localparam [31:0] LAST = RAW - LANES;           // the last byte at which a vector may begin
    localparam [31:0] BYTES = LANES;

    reg  [1:0]     full;
    reg            into, from;
    reg  [HBITS:0] word;
    assign room = !full[into];
    reg            cutting;
    reg  [9:0]     x;
    reg  [3:0]     number;
    reg  [15:0]    at_byte, start;
    reg  [15:0]    over;
    reg  [20:0]    row_at, at;
    wire [15:0]    at_word = at_byte >> VBITS;
    wire [HBITS:0] next_word = at_word[HBITS:0] + 1'b1;
    wire [HBITS-1:0] even_at = next_word[HBITS:1];
    wire [HBITS-1:0] odd_at = at_word[HBITS:1];
    wire [W-1:0]   even, odd;
    wire           go;
    ew_ram #(.WIDTH(W), .DEPTH(2 << HBITS)) evens (
        .clk(clk), .we(put && !word[0]), .waddr({into, word[HBITS:1]}), .wdata(vec),
        .re(go), .raddr({from, even_at}), .rdata(even)
    );
    ew_ram #(.WIDTH(W), .DEPTH(2 << HBITS)) odds (
        .clk(clk), .we(put && word[0]), .waddr({into, word[HBITS:1]}), .wdata(vec),
        .re(go), .raddr({from, odd_at}), .rdata(odd)
    );

    // Stage 1: the two words are there; stage 2: turned by whole fours of bytes, waiting to be turned further and written. A word that finds stage 2 taken waits beside
    // it, so that reading does not depend on what is written in the same cycle.
    reg             s1, s2, spare, s1_odd;
    reg [VBITS-1:0] s1_turn;
    reg [20:0]      s1_at, s2_at, spare_at;
    reg [W+23:0]    s2_data, spare_data;
    reg [1:0]       s2_turn, spare_turn;
    wire s2_go = !s2 || act_gnt;
    assign go = cutting && !(s1 && spare);
    wire [2*W-1:0] pair = s1_odd ? {even, odd} : {odd, even};
    wire [2*W-1:0] turned = pair >> {s1_turn >> 2, 5'b00000};
    wire [W+23:0] turned_on = s2_data >> {s2_turn, 3'b000};
    assign act_req = s2;
    assign act_addr = s2_at[ABITS-1:0];
    assign act_data = turned_on[W-1:0];

    wire run_over = number == run - 1'b1;
    wire cut_over = run_over && x == outputs - 1'b1;
    wire [15:0] next_start = start + {8'd0, step};
    wire [20:0] next_row = {1'b0, row_at[19:0]} + {1'b0, sram_stride};
    assign done = over == rows && !s1 && !s2 && !spare;
    assign fault = (go && at_byte > LAST[15:0]) || (s2 && act_gnt && (s2_at >> ABITS) != 0);
    wire unused = &{1'b0, at_word, next_word[0], turned[2*W-1:W+24], turned_on[W+23:W]};
    always @(posedge clk) begin
        if (put) word <= word + 1'b1;
        if (row_over) begin
            full[into] <= 1;
            into <= !into;
            word <= 0;
        end
        if (!cutting && active && full[from]) begin
            cutting <= 1;
            x <= 0; number <= 0; at_byte <= 0; start <= 0;
            at <= row_at;
        end
        s1 <= go || (s1 && spare);
        if (go) begin
            s1_odd <= at_word[0];
            s1_turn <= at_byte[VBITS-1:0];
            s1_at <= at;
        end
        if (!spare) begin
            spare_at <= s1_at;
            spare_data <= turned[W+23:0];
            spare_turn <= s1_turn[1:0];
        end
        spare <= !s2_go && (spare || s1);
        if (s2_go) begin
            s2 <= s1 || spare;
            s2_at <= spare ? spare_at : s1_at;
            s2_data <= spare ? spare_data : turned[W+23:0];
            s2_turn <= spare ? spare_turn : s1_turn[1:0];
        end
        if (go) begin
            at <= at + 1'b1;
            number <= run_over ? 4'd0 : number + 1'b1;
            at_byte <= run_over ? next_start : at_byte + BYTES[15:0];
            if (run_over) begin
                start <= next_start;
                x <= x + 1'b1;
            end
            if (cut_over) begin
                cutting <= 0;
                full[from] <= 0;
                from <= !from;
                over <= over + 1'b1;
                row_at <= next_row;
            end
        end
        if (begins) begin
            row_at <= {1'b0, sram};
            over <= 0;
        end
        if (rst) begin
            full <= 0; into <= 0; from <= 0; word <= 0; cutting <= 0; s1 <= 0; s2 <= 0; spare <= 0; over <= 0;
        end
    end
endmodule
