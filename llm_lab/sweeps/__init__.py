"""Many runs from one command: what stands for them, how they are started, what is left when one is lost."""
