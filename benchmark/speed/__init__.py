"""How fast rows train on this device, as they are and with what a driver may choose otherwise."""
