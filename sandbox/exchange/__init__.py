"""Exchange REST APIs that unmodified ccxt classes can talk to. One module per exchange, chosen by ccxt's own host."""
