"""The status page of a fleet: one HTML file without scripts that loads nothing."""

from toolchain.fleet.page.render import render_page

__all__ = ["render_page"]
