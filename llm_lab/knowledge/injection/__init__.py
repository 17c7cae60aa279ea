"""Knowledge into language models: facts as words of a text, embeddings of entities at their mentions."""
