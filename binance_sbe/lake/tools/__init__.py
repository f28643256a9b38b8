"""What other tools read: their files are made of an archive in Arrow, a symbol and a day at a time."""
