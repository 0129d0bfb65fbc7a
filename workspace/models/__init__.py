"""Networks of yours; the shipped ones are found under this name, too."""
