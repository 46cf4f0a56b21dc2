// Activation memory in four banks (the two top bits of the address). Each bank serves one read and one write per
// cycle. Reads: the array's feed and the second tensor of an addition, never both in one bank, before a
// store; writes: results before loads.
// A request that is not granted is to be repeated. Read data come two cycles after the grant.
module ew_act #(
    parameter LANES = 16,
    parameter DEPTH = 8192,
    parameter ABITS = $clog2(DEPTH)
) (
    input  wire               clk,
    input  wire               feed_req,
    input  wire [ABITS-1:0]   feed_addr,
    output wire [LANES*8-1:0] feed_data,
    input  wire               res_req,
    input  wire [ABITS-1:0]   res_addr,
    output wire [LANES*8-1:0] res_data,
    input  wire               store_req,
    input  wire [ABITS-1:0]   store_addr,
    output wire               store_gnt,
    output wire [LANES*8-1:0] store_data,
    input  wire               out_req,
    input  wire [ABITS-1:0]   out_addr,
    input  wire [LANES*8-1:0] out_data,
    input  wire               load_req,
    input  wire [ABITS-1:0]   load_addr,
    input  wire [LANES*8-1:0] load_data,
    output wire               load_gnt
);
    localparam IN = ABITS - 2;
    wire [1:0] feed_bank = feed_addr[ABITS-1:IN];
    wire [1:0] res_bank = res_addr[ABITS-1:IN];
    wire [1:0] store_bank = store_addr[ABITS-1:IN];
    wire [1:0] out_bank = out_addr[ABITS-1:IN];
    wire [1:0] load_bank = load_addr[ABITS-1:IN];
    assign store_gnt = store_req && !(res_req && res_bank == store_bank) && !(feed_req && feed_bank == store_bank);
    assign load_gnt = !(out_req && out_bank == load_bank);

    wire [LANES*8-1:0] data [0:3];
    genvar b;
    generate
        for (b = 0; b < 4; b = b + 1) begin : bank
            wire res_here = res_req && res_bank == b;
            wire feed_here = feed_req && feed_bank == b;
            wire out_here = out_req && out_bank == b;
            ew_ram #(.WIDTH(LANES * 8), .DEPTH(DEPTH / 4)) ram (
                .clk(clk),
                .we(out_here || (load_req && load_bank == b)),
                .waddr(out_here ? out_addr[IN-1:0] : load_addr[IN-1:0]),
                .wdata(out_here ? out_data : load_data),
                .re(res_here || feed_here || store_req),
                .raddr(res_here ? res_addr[IN-1:0] : feed_here ? feed_addr[IN-1:0] : store_addr[IN-1:0]),
                .rdata(data[b])
            );
        end
    endgenerate

    reg [1:0] feed_from, res_from, store_from;
    reg [LANES*8-1:0] feed_out, res_out, store_out;
    always @(posedge clk) begin
        feed_from <= feed_bank;
        res_from <= res_bank;
        store_from <= store_bank;
        feed_out <= data[feed_from];
        res_out <= data[res_from];
        store_out <= data[store_from];
    end
    assign feed_data = feed_out;
    assign res_data = res_out;
    assign store_data = store_out;
endmodule
