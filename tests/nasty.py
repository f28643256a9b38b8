"""Text such as others may send: with what a terminal obeys, and with an API key."""

KEY = "MARKERkey0123456789"
NASTY = "\x1b[2J\x9b5m\r\n\u202ename\u200b\u2028\ud800\udcff[red]x[/red][/]\0"
NASTY_WITH_KEY = f"{NASTY}{KEY}"
