"""Geometry of the charts: numbers in, pixels out. Drawn by ``templates/charts.html.j2``."""
