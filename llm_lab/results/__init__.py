"""What the experiments reached: figures by content hash, and the table of them."""
