"""What the verbs of the command line do beyond parsing and printing."""
