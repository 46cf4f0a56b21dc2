"""One bundle measured on many devices: one table, the spread per model of device, and who is out of line."""
