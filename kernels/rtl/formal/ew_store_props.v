// ew_store retires no more instructions than it took, never two at a time, asks for no more vectors than it has room for,
// and holds what it offers until it is taken.
module ew_store_props (
    input wire         clk,
    input wire         rst,
    input wire         head_ok,
    input wire [511:0] head,
    input wire         gnt,
    input wire [31:0]  data,
    input wire         w_ready,
    input wire         done
);
    // Inside of the block; `flatten` joins them by name.
    (* hierconn *) wire [9:0] \store.open ;
    (* hierconn *) wire \store.over ;
    (* hierconn *) wire [3:0] \store.waiting ;
    (* hierconn *) wire [2:1] \store.coming ;
    wire pop, busy, fault, act_req, w_valid;
    wire [15:0] retired;
    wire [5:0] act_addr;
    wire [31:0] w_addr;
    wire [63:0] w_data;
    // The contract: a grant answers a request, a confirmation a beat that was sent, and waits for it.
    reg  [9:0] open;
    wire act_gnt = gnt && act_req;
    wire w_done = done && open != 0;
    ew_store #(.LANES(4), .PORT(8), .ABITS(6)) store (
        .clk(clk), .rst(rst), .head_ok(head_ok), .head(head), .pop(pop), .retired(retired), .busy(busy), .fault(fault),
        .limit(32'h1000), .act_req(act_req), .act_addr(act_addr), .act_gnt(act_gnt), .act_data(data),
        .w_valid(w_valid), .w_ready(w_ready), .w_addr(w_addr), .w_data(w_data), .w_done(w_done)
    );
    reg [15:0] taken;
    reg        started, held;
    reg [31:0] held_at;
    initial started = 0;
    always @(posedge clk) begin
        if (rst) started <= 1;
        held <= !rst && w_valid && !w_ready;
        held_at <= w_addr;
        if (rst) begin
            taken <= 0; open <= 0;
        end else begin
            taken <= taken + {15'd0, pop};
            open <= open + {9'd0, w_valid && w_ready} - {9'd0, w_done};
        end
    end
    always @* if (started) begin
        assert (taken - retired == {15'd0, busy});
        assert (\store.open  == open);
        assert (!\store.over );
        assert ({1'b0, \store.waiting } + {4'd0, \store.coming [1]} + {4'd0, \store.coming [2]} <= 6);
        if (w_valid) assert (w_addr <= 32'hFF8 && w_addr[2:0] == 0);
        if (held) assert (w_valid && w_addr == held_at);
    end
endmodule
