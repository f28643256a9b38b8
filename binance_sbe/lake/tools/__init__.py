"""Files for other tools, made of an archive in Arrow, a symbol and a day at a time."""
