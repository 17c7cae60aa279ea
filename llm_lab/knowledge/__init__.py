"""Knowledge graphs: triples and what is computed over them."""
