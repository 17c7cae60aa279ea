"""Several runs in a row as one command: each where its result is not there yet."""
