"""What generated decoders stand on: needs numpy, knows no schema."""
