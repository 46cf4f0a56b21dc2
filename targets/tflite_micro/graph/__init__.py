"""The graph of a TFLite file as plain data, checked and simplified before any C is written."""
