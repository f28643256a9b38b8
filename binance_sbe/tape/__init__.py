"""What a feed received, kept as it came: recorded, proven, mended and played again."""
