"""Networks, described and built: tensors, scopes, weights. Layers and training live elsewhere."""
