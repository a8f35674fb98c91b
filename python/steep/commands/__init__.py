"""The commands of the program `steep`, one file each. Nothing here is imported by the library."""
