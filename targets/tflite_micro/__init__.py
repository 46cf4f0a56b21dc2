"""TensorFlow Lite for microcontrollers, ahead of time: an int8 TFLite graph becomes C and linked firmware."""
