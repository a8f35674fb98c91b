"""Numbers, arrays and names from users, read or refused. Nothing here knows of networks."""
