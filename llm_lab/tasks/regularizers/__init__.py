"""What is added to the loss so that a model does not fit too closely: entries of ``task.regularizers``."""
