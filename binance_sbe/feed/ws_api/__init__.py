"""The WebSocket API for programs: what `binance_sbe.ws_api.connect` gives."""
