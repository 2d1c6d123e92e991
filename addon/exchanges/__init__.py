"""One request from its headers to the end of its answer, and what all requests of a process share."""
