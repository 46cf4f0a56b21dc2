"""Energy meters: cumulative counters (RAPL, NVML), sampled power (INA3221, Pi 5 PMIC) and an external logger's CSV."""
