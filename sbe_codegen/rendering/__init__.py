"""The parts of the renderer; each takes ir and gives text or plain values for the templates."""
