"""From one process to many: who starts the ranks, how they find each other, what happens when one dies."""
