"""What a device is, and what was measured on it.

This package needs the standard library and numpy only, because it travels to the device.
"""
