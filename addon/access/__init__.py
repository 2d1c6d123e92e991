"""Who gets in, how much they may ask for, and where the proxy modes may connect to."""
