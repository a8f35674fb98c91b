"""What goes into files and comes back: whole, checked, without pickle. Nothing here trains."""
