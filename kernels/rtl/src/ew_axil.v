// The registers that the driver knows (driver/ew_fpga.h), behind AXI4-Lite. Address and data of a write are taken
// together. A write of less than 32 bits and an address without a register change nothing and are answered by SLVERR.
// What the core reads must not be changed while it runs.
module ew_axil (
    input  wire        clk,
    input  wire        rst,
    input  wire        awvalid,
    output wire        awready,
    input  wire [11:0] awaddr,
    input  wire        wvalid,
    output wire        wready,
    input  wire [31:0] wdata,
    input  wire [3:0]  wstrb,
    output reg         bvalid,
    input  wire        bready,
    output reg  [1:0]  bresp,
    input  wire        arvalid,
    output wire        arready,
    input  wire [11:0] araddr,
    output reg         rvalid,
    input  wire        rready,
    output reg  [31:0] rdata,
    output reg  [1:0]  rresp,
    // The core; `base` is added to its addresses on their way to memory.
    output wire        core_rst,
    output reg         start,
    output reg  [31:0] program_at,
    output reg  [31:0] limit,
    output reg  [31:0] base,
    input  wire        done,
    input  wire        fault,
    input  wire [5:0]  faults
);
    localparam [9:0] CONTROL = 0, STATUS = 1, PROGRAM_AT = 2, LIMIT = 3, BASE = 4, END = 5;
    localparam [1:0] OKAY = 0, SLVERR = 2;

    wire write = awvalid && wvalid && !bvalid;
    wire whole = &wstrb && awaddr[1:0] == 0;
    wire there = awaddr[11:2] < END && awaddr[11:2] != STATUS;
    wire set = write && whole && there;
    wire read = arvalid && !rvalid;
    reg hold;
    assign awready = write;
    assign wready = write;
    assign arready = read;
    assign core_rst = rst || hold;

    always @(posedge clk)
        if (rst) begin
            hold <= 1;
            start <= 0;
            bvalid <= 0;
            rvalid <= 0;
        end else begin
            start <= set && awaddr[11:2] == CONTROL && wdata[1:0] == 2'b01;
            if (set && awaddr[11:2] == CONTROL) hold <= wdata[1];
            if (write) bvalid <= 1;
            else if (bready) bvalid <= 0;
            if (read) rvalid <= 1;
            else if (rready) rvalid <= 0;
        end

    always @(posedge clk) begin
        if (set && awaddr[11:2] == PROGRAM_AT) program_at <= wdata;
        if (set && awaddr[11:2] == LIMIT) limit <= wdata;
        if (set && awaddr[11:2] == BASE) base <= wdata;
        if (write) bresp <= whole && there ? OKAY : SLVERR;
        if (read) begin
            rresp <= araddr[1:0] == 0 && araddr[11:2] < END ? OKAY : SLVERR;
            case (araddr[11:2])
                CONTROL: rdata <= {30'b0, hold, 1'b0};
                STATUS: rdata <= {18'b0, faults, 6'b0, fault, done};
                PROGRAM_AT: rdata <= program_at;
                LIMIT: rdata <= limit;
                BASE: rdata <= base;
                default: rdata <= 0;
            endcase
        end
    end
endmodule
