"""The command ``edgewright``. Starting it loads argparse and nothing heavy; commands import what they need."""
