"""The Hummingbot API as recorded: its paths, shapes and habits. One module per router of the original."""
