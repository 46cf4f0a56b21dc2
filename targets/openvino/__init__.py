"""OpenVINO on the CPU: fp32, bf16, fp16, and int8 by NNCF."""
