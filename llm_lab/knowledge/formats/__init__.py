"""Files of graphs: what reads them into facts, and what writes them back."""
