"""Files put in place whole or not at all, safetensors too. What is in them: `saving`."""
