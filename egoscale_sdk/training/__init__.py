"""Training: recipes, mixtures of datasets, one trainer, evaluation on held-out episodes."""
