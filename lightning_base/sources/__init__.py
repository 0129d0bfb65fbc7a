"""Reading sources: listings and packs of files, images, annotations, tables and spectrograms."""
