"""Training of networks on tiles. torch is imported when training starts, not when this package is."""
