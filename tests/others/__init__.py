"""Claims about what knows nothing of this project: LightningModules, Datasets, LightningDataModules."""
