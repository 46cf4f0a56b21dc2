"""Boards behind a gateway: MCUboot images, signed at publishing, flashed over a serial line, tried, confirmed."""
