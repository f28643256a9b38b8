"""Market data, orders and drop copies over FIX sessions: what `binance_sbe.fix.connect` gives."""
