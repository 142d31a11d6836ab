"""The process that tells listeners what happens in the arena: server-sent events, and the old page's WebSocket."""
