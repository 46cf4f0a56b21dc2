// ew_fifo keeps its count and its order, and overflows only when its writer or reader breaks the contract.
module ew_fifo_props (
    input wire       clk,
    input wire       rst,
    input wire       push,
    input wire       pop,
    input wire [1:0] word
);
    // Inside of the block; `flatten` joins it by name.
    (* hierconn *) wire \fifo.several ;
    wire [1:0] head;
    wire       valid, full, overflow;
    wire [2:0] count;
    // The contract: nothing is pushed while it is full, nothing popped while it is empty.
    wire may_push = push && !full;
    wire may_pop = pop && valid;
    ew_fifo #(.WIDTH(2), .DEPTH(4)) fifo (
        .clk(clk), .rst(rst), .push(may_push), .word(word), .pop(may_pop), .head(head), .valid(valid), .full(full),
        .count(count), .overflow(overflow)
    );
    // What went in less what came out, and the words in order, the oldest lowest.
    reg [2:0] kept;
    reg [7:0] words;
    reg       started;
    initial started = 0;
    wire [2:0] left = kept - {2'd0, may_pop};
    wire [7:0] rest = may_pop ? {2'd0, words[7:2]} : words;
    always @(posedge clk) begin
        if (rst) started <= 1;
        if (rst) kept <= 0;
        else kept <= left + {2'd0, may_push};
        words <= rest;
        if (may_push) words[left*2+:2] <= word;
    end
    always @* if (started) begin
        assert (!overflow);
        assert (count == kept);
        assert (count <= 4);
        assert (valid == (count != 0));
        assert (\fifo.several == (count > 1));
        assert (full == (count == 4));
`ifdef DATA
        if (valid) assert (head == words[1:0]);
`endif
    end
endmodule
