"""Cut from what nextpnr 0.11 and yosys 0.70 said about an 8 x 8 array on an LFE5U-85F."""

CLOCK = "posedge $glbnet$clk$TRELLIS_IO_IN"
RAM, FF = "core.compute.partial.ram.words.0.1", "core.compute.partial.ram.wdata_TRELLIS_FF_Q_76"
LUT = "core.compute.partial.ram.wdata_TRELLIS_FF_Q_77_DI_L6MUX21_Z_D1_PFUMX_Z_BLUT_LUT4_Z"


def end(cell, port):
    return {"cell": cell, "loc": [69, 46], "port": port}


REPORT = {
    "critical_paths": [
        {
            "from": CLOCK,
            "to": CLOCK,
            "path": [
                {"delay": 5.83, "from": end(RAM, "DOB11"), "to": end(RAM, "DOB11"), "type": "clk-to-q"},
                {"delay": 2.788, "from": end(RAM, "DOB11"), "to": end(LUT, "C"), "type": "routing"},
                {"delay": 0.4, "from": end(LUT, "C"), "to": end(LUT, "OFX"), "type": "logic"},
                {"delay": 0.46, "from": end(LUT, "OFX"), "to": end(FF, "M"), "type": "routing"},
                {"delay": 0, "from": end(FF, "M"), "to": end(FF, "M"), "type": "setup"},
            ],
        },
        {"from": "<async>", "to": CLOCK, "path": []},
    ],
    "fmax": {"$glbnet$clk$TRELLIS_IO_IN": {"achieved": 64.39564514160156, "constraint": 80}},
    "utilization": {
        "ALU54B": {"available": 78, "used": 0},
        "DP16KD": {"available": 208, "used": 80},
        "MULT18X18D": {"available": 156, "used": 98},
        "TRELLIS_COMB": {"available": 83640, "used": 19235},
        "TRELLIS_FF": {"available": 83640, "used": 10238},
    },
}
CELLS = """{"creator": "Yosys 0.70", "modules": {}, "design": {"num_cells": 32916, "num_cells_by_type":
{"$scopeinfo": 71, "CCU2C": 1936, "DP16KD": 80, "L6MUX21": 339, "LUT4": 14804, "MULT18X18D": 98}}}"""
LOG = """Info: Packing IOs..
Info: Device utilisation:
Info: \t          TRELLIS_IO:      43/    365    11%
Info: \t              DP16KD:      80/    208    38%
Info: \t          MULT18X18D:      98/    156    62%
Info: \t        TRELLIS_COMB:   19235/  83640    22%

Info: Creating initial analytic placement for 16130 cells, random placement wirelen = 2152687.
Info: Running simulated annealing placer for refinement.
Info: Routing 92806 arcs.
Info:       4000 |     1146       2853 |  242   758 |     90954|       2.61      10.69|
Info: Critical path report for clock '$glbnet$clk$TRELLIS_IO_IN' (posedge -> posedge):
"""
TOO_LARGE = LOG.replace("98/    156    62%", "326/    156   208%") + (
    "ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'MULT18X18D'\n1 warning, 1 error\n"
)
