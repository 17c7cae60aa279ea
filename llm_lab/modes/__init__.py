"""What a run can be asked to do: one short file a verb, each read like a table of contents."""
