"""Lightning callbacks: checkpoints, reproducibility, graceful stops, weight averaging."""
