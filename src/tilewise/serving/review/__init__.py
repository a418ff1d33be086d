"""The local page: slides in deep zoom, findings beside their pair, decisions by keyboard."""
